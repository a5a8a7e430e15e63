"""Ask how many goals of HandReach can be met at all, and how many are.

    python benchmarks/hand_reach.py [EPISODES]

For each episode seed three distances to the goal are sought, the first two
by search, in metres:
pose, the least over all poses within the motors' ranges, where weight,
springs and touching are ignored: more than 0.01 and no held command should
meet the goal;
held, the least that is left when one command is held from the start of the
episode to its end: at most 0.01 and the goal can be met;
expert, what the noiseless expert leaves at the end of the episode.
Rows go to results/hand_reach.csv.
"""

import csv
import io
import sys

import numpy as np

from smore_lit.worlds.hand import (
    HandExpert,
    load_hand,
    solve_pose,
    step_in_box,
)
from smore_lit.worlds.tasks import load_task
from smore_lit.running.files import results_folder, write_atomic

BAND = 0.145  # radians that a follower may lead or lag
STARTS = 12
TRIES = 600
FINGERS = ("ff", "mf", "rf", "lf", "stay")


def nearest_pose(hand, angles, goal, rng) -> float:
    """Return the least distance over poses, from several starts."""
    followers = [
        joint + 1
        for joint, column in zip(hand.joints, hand.follow.T)
        if (column > 0).sum() == 2
    ]
    free = np.hstack([hand.follow, np.eye(24)[:, followers]])
    low = np.append(hand.low, -BAND * np.ones(4))
    high = np.append(hand.high, BAND * np.ones(4))
    least = np.inf
    for start in range(STARTS):
        x = rng.uniform(low, high)
        if start == 0:
            band = angles - hand.follow @ angles[hand.joints]
            x = np.append(angles[hand.joints], band[followers])
        for _ in range(60):
            x = x.clip(low, high)
            hand.place(free @ x)
            e = goal - hand.tips()
            least = min(least, np.linalg.norm(e))
            if least < 1e-3:
                return least
            A = full_jacobian(hand) @ free
            x = x + step_in_box(A, e, low - x, high - x, 0.01)
    return least


def full_jacobian(hand):
    """Return the fingertips' derivative by all joints, (15, 24)."""
    full = np.zeros((15, 24))
    for i, site in enumerate(hand.sites):
        rows = full[3 * i : 3 * i + 3]
        hand.mujoco.mj_jacSite(hand.model, hand.data, rows, None, site)
    return full


def hold(hand, angles, command, steps=50):
    """Return fingertips and joint angles after holding a command."""
    data = hand.mujoco.MjData(hand.model)
    data.qpos[:], data.ctrl[:] = angles, command
    hand.mujoco.mj_step(hand.model, data, 20 * steps)
    hand.mujoco.mj_kinematics(hand.model, data)
    return data.site_xpos[hand.sites].ravel(), data.qpos.copy()


def best_command(hand, angles, goal, rng, tries) -> float:
    """Return the least distance left by one command that is held."""
    best, least = None, np.inf

    def attempt(command):
        nonlocal best, least
        command = command.clip(hand.low, hand.high)
        tips, after = hold(hand, angles, command)
        miss = goal - tips
        if np.linalg.norm(miss) < least:
            best, least = command, np.linalg.norm(miss)
        return command, miss, after

    for press in (0.8, 0.4, 1.0, 1.5, 0.0):
        pose = solve_pose(hand, angles, goal, press)
        hand.place(angles + hand.follow @ (pose - angles[hand.joints]))
        command = pose + hand.sag()
        for _ in range(8):
            command, miss, after = attempt(command)
            if least <= 0.0098:
                return least
            hand.place(after)
            box = hand.low - command, hand.high - command
            step = step_in_box(hand.jacobian(), miss, *box, 0.03)
            command = command + 0.3 * step
    width = 0.05
    for _ in range(tries):
        before = least
        some = rng.random(20) < 0.4
        noise = width * some * rng.standard_normal(20)
        attempt(best + noise * (hand.high - hand.low) / 2)
        if least <= 0.0098:
            break
        width = min(0.3, 1.5 * width) if least < before else 0.95 * width
        width = max(width, 0.005)
    return least


def measure(env, hand, seed: int) -> tuple:
    """Return one row: seed, finger, pose, held, expert."""
    state, _ = env.reset(seed=seed)
    angles, goal = state["observation"][:24], state["desired_goal"]
    away = np.abs(goal - state["achieved_goal"]).reshape(5, 3).sum(axis=1)
    finger = FINGERS[np.append(away[:4] > 1e-6, True).argmax()]
    rng = np.random.default_rng([2, seed])
    pose = nearest_pose(hand, angles, goal, rng)
    tries = TRIES if pose <= 0.01 else 0
    held = best_command(hand, angles, goal, rng, tries)
    act = HandExpert()(rng)
    for _ in range(50):
        action = act(state["observation"].astype(np.float32), goal)
        state = env.step(action)[0]
    left = np.linalg.norm(state["achieved_goal"] - goal)
    return seed, finger, *(f"{x:.5f}" for x in (pose, held, left))


def main(episodes: int) -> None:
    """Measure seeds 0 to `episodes` - 1 and write the table."""
    env, hand = load_task("HandReach").make(), load_hand()
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("seed", "finger", "pose", "held", "expert"))
    for seed in range(episodes):
        row = measure(env, hand, seed)
        table.writerow(row)
        print(*row, flush=True)
    write_atomic(results_folder() / "hand_reach.csv", text.getvalue())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
