# Generated from book/worlds/sawyer.md by make sync. Edit the chapter, not this file.
"""SawyerReach and SawyerDoor: rebuild an arm and its door.

Two tasks whose simulator is no longer maintained, set up again on the arm and
the door of metaworld.
"""

__all__ = [
    "find_models",
    "SAWYER_MOVE",
    "SAWYER_DIFFERENCES",
    "SAWYER_REACH",
    "SAWYER_DOOR",
    "FAMILY",
    "REACH",
    "SUBSTEPS",
    "ARM",
    "weld_hand",
    "Filmed",
    "SawyerWorld",
    "SawyerReach",
    "HINGE",
    "FRAME",
    "HANDLE",
    "turn_door",
    "SawyerDoor",
]


# book/worlds/sawyer.md, section "SawyerReach and SawyerDoor: rebuild an arm and its door"
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np

from smore_lit.worlds.tasks import Reference, Task


# book/worlds/sawyer.md, section "Why the tasks are rebuilt"
def find_models() -> Path:
    """Return the folder of metaworld's models of the arm.

    Raises:
        ImportError: metaworld is not installed.
    """
    found = importlib.util.find_spec("metaworld")
    if found is None or found.submodule_search_locations is None:
        raise ImportError("No module named 'metaworld'")
    return Path(found.submodule_search_locations[0], "assets/sawyer_xyz")


# book/worlds/sawyer.md, section "The tasks in numbers"
SAWYER_MOVE = (
    (3, "mocap target of the hand displaced by 0.02 m, then boxed", "m"),
)
SAWYER_DIFFERENCES = (
    "metaworld's arm and gripper: the hand lies 12 cm beyond the wrist, "
    "where the original's was at the wrist; MuJoCo 3.3.0",
    "every episode starts from one stored state, and the goal comes from "
    "the seed of the episode, not from a global generator",
    "the published data hold 49 actions per episode, ours 50",
)
SAWYER_REACH = Task(
    name="SawyerReach",
    env_id="smore_lit/SawyerReach-v1",
    entry_point="smore_lit.worlds.sawyer:SawyerReach",
    observation_size=3,
    goal_size=3,
    action_size=3,
    goal_index=(0, 1, 2),
    threshold=0.06,
    success_threshold=0.06,
    horizon=50,
    source="Nair et al. 2018 (multiworld SawyerReachXYZEnv-v1), rebuilt",
    simulators=("mujoco", "metaworld"),
    expert="smore_lit.worlds.inverse_kinematics:HandExpert",
    reference=Reference(
        observation=((3, "hand position", "m"),),
        action=SAWYER_MOVE,
        goal="uniform in the box [-0.2, 0.2] x [0.55, 0.75] x [0.05, 0.30]",
        start="hand driven to (0, 0.5, 0.02), outside the box",
        history=("smore_lit/SawyerReach-v1: first version",),
        differences=(
            *SAWYER_DIFFERENCES,
            "the table is 5 cm lower, clear of metaworld's longer fingers",
        ),
    ),
)


# book/worlds/sawyer.md, section "The tasks in numbers"
SAWYER_DOOR = replace(
    SAWYER_REACH,
    name="SawyerDoor",
    env_id="smore_lit/SawyerDoor-v1",
    entry_point="smore_lit.worlds.sawyer:SawyerDoor",
    observation_size=4,
    goal_size=1,
    goal_index=(3,),
    threshold=0.06,
    success_threshold=0.02,
    unit="rad",
    source="Nair et al. 2018 (multiworld SawyerDoor-v0), rebuilt",
    expert="smore_lit.worlds.inverse_kinematics:DoorExpert",
    reference=Reference(
        observation=((3, "hand position", "m"), (1, "door angle", "rad")),
        action=SAWYER_MOVE,
        goal="U(0, 0.83)",
        start="hand driven to (-0.05, 0.635, 0.225), door shut and at rest",
        history=("smore_lit/SawyerDoor-v1: first version",),
        differences=(
            *SAWYER_DIFFERENCES,
            "metaworld's panel, smaller and lighter, half a turn about; a "
            "bar on two posts in place of metaworld's handle",
            "the hook is the gripper's far finger, 9 mm thick, not 2 cm",
        ),
    ),
)
FAMILY = (SAWYER_REACH, SAWYER_DOOR)


# book/worlds/sawyer.md, section "Move the arm by its hand"
REACH = 0.02  # metres of mocap displacement per unit of action
SUBSTEPS = 50
ARM = (1.7244448, -0.92036369, 0.10234232, 2.11178144, 2.97668632,
       -0.38664629, 0.54065733)  # joint angles before the hand is driven


def weld_hand(spec, softness: float, timestep: float):
    """Tie hand and mocap frame in one pose; set the simulator's step.

    Args:
        spec: the editable model.
        softness: time constant of the weld in seconds (solref).
        timestep: seconds per sub-step.
    """
    (weld,) = spec.equalities
    weld.data = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]  # no offset, quaternion 1
    weld.solref = [softness, 1]
    spec.option.timestep = timestep


# book/worlds/sawyer.md, section "Move the arm by its hand"
class Filmed:
    """Draw a simulated world; needs `mujoco`, `model` and `data`."""

    camera = (1.5, 135.0, -25.0)  # metres away, azimuth, elevation
    renderer = None

    def render(self):
        """Return a picture (320, 320, 3), uint8."""
        if self.renderer is None:
            self.renderer = self.mujoco.Renderer(self.model, 320, 320)
        view = self.mujoco.MjvCamera()
        view.distance, view.azimuth, view.elevation = self.camera
        view.lookat = (0.0, 0.6, 0.15)
        self.renderer.update_scene(self.data, view)
        return self.renderer.render()

    def close(self):
        """Let go of the graphics context."""
        if self.renderer is not None:
            self.renderer.close()


# book/worlds/sawyer.md, section "Move the arm by its hand"
class SawyerWorld(Filmed):
    """Move the hand of a Sawyer arm by a welded mocap frame.

    A subclass gives `low`, `high` (the frame's box, metres), `start`
    (where the hand is driven), `open_model`, `observe` and `draw_goal`.
    """

    def __init__(self, render_mode=None):
        import mujoco

        self.mujoco = mujoco
        self.model = self.open_model(mujoco)
        self.data = mujoco.MjData(self.model)
        self.hand = self.model.body("hand").id
        self.data.qpos[:7] = ARM
        self.data.ctrl[:] = -1, 1  # fingers held open
        self.data.mocap_pos[0] = self.start
        self.data.mocap_quat[0] = np.array([1, 0, 1, 0]) / np.sqrt(2)
        mujoco.mj_step(self.model, self.data, 10 * SUBSTEPS)
        self.prepare()
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        self.begin = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, self.begin, kind)

    def prepare(self):
        """Change what the start needs changed, after the hand is there."""

    def reset(self, rng):
        """Return the start's observation and a goal drawn from `rng`."""
        kind = self.mujoco.mjtState.mjSTATE_INTEGRATION
        self.mujoco.mj_setState(self.model, self.data, self.begin, kind)
        goal = self.draw_goal(rng)
        self.mujoco.mj_forward(self.model, self.data)
        return self.observe(), goal

    def step(self, action):
        """Move the frame by `action` (3,), simulate, observe."""
        target = self.data.mocap_pos[0] + REACH * np.asarray(action)
        self.data.mocap_pos[0] = np.clip(target, self.low, self.high)
        self.mujoco.mj_step(self.model, self.data, SUBSTEPS)
        return self.observe()


# book/worlds/sawyer.md, section "SawyerReach"
class SawyerReach(SawyerWorld):
    """Bring the hand to a point: observation and goal (3,), metres."""

    low, high = (-0.2, 0.55, 0.05), (0.2, 0.75, 0.30)
    start = (0.0, 0.5, 0.02)

    def open_model(self, mujoco):
        """Return metaworld's arm with the puck removed, table lowered."""
        path = find_models() / "sawyer_reach_v3.xml"
        spec = mujoco.MjSpec.from_file(str(path))
        spec.detach_body(spec.body("obj"))
        for name in ("tablelink", "RetainingWall"):
            spec.body(name).pos -= [0, 0, 0.05]
        weld_hand(spec, softness=0.01, timestep=0.002)
        return spec.compile()

    def observe(self):
        """Return the place of the hand (3,), metres."""
        return self.data.xpos[self.hand].copy()

    def draw_goal(self, rng):
        """Return a point of the box (3,), and mark it."""
        goal = rng.uniform(self.low, self.high)
        self.model.site("goal").pos = goal
        return goal


# book/worlds/sawyer.md, section "SawyerDoor"
HINGE = (0.21, 0.725)  # metres, x and y of the door's axis
FRAME = (0.185, -0.1, 0.0)  # from the body of the door to its hinge
HANDLE = (  # centre and half-size in metres, seen from the hinge
    ("bar", (0.26, -0.06, 0.0), (0.10, 0.01, 0.01)),
    ("post_near", (0.17, -0.03, 0.0), (0.01, 0.03, 0.01)),
    ("post_far", (0.35, -0.03, 0.0), (0.01, 0.03, 0.01)),
)


def turn_door(spec, mujoco):
    """Hang metaworld's door right-handed and give it a bar to hook."""
    door, link = spec.body("door"), spec.body("door_link")
    door.pos = np.array([*HINGE, 0.15]) - FRAME
    door.quat = [0, 0, 1, 0]  # half a turn about y
    hinge = spec.joint("doorjoint")
    hinge.axis, hinge.range = [0, 0, -1], [0, 1.0472]
    hinge.damping, hinge.armature = 0.1, 0
    for geom in list(link.geoms):
        if geom.pos[0] > 0.2:  # the old handle
            geom.delete()
    for name, pos, size in HANDLE:
        link.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size,
            contype=1, conaffinity=1, group=1, rgba=[0.2, 0.2, 0.2, 1],
        )


# book/worlds/sawyer.md, section "SawyerDoor"
class SawyerDoor(SawyerWorld):
    """Pull a door to an angle: observation (4,), goal (1,), radians."""

    low, high = (-0.10, 0.45, 0.10), (0.05, 0.65, 0.25)
    start = (-0.05, 0.635, 0.225)
    camera = (1.2, 125.0, -35.0)

    def open_model(self, mujoco):
        """Return metaworld's arm before the turned door."""
        path = find_models() / "sawyer_door_pull.xml"
        spec = mujoco.MjSpec.from_file(str(path))
        turn_door(spec, mujoco)
        weld_hand(spec, softness=0.005, timestep=0.003)
        return spec.compile()

    def prepare(self):
        """Shut the door and stop it."""
        self.door = self.model.joint("doorjoint").qposadr[0]
        self.data.qpos[self.door] = 0
        self.data.qvel[self.model.joint("doorjoint").dofadr[0]] = 0

    def observe(self):
        """Return the hand's place (3,), metres, and the door's angle."""
        hand = self.data.xpos[self.hand]
        return np.array([*hand, self.data.qpos[self.door]])

    def draw_goal(self, rng):
        """Return an angle (1,), and mark where it takes the bar."""
        goal = rng.uniform(0, 0.83, 1)
        reach = 0.26 * np.array([np.cos(goal[0]), np.sin(goal[0])])
        self.model.site("goal").pos = (*(HINGE - reach), 0.32)
        return goal
