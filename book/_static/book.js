// Fold the parts of the sidebar, all but the reader's own; say how long a
// page takes to read, at 220 words a minute.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll(".bd-links p.caption")) {
    const chapters = caption.nextElementSibling;
    const here = chapters && chapters.querySelector(".current");
    const first = caption.matches(".bd-links p.caption:first-of-type");
    caption.classList.toggle("folded", !here && !first);
    caption.setAttribute("role", "button");
    caption.setAttribute("tabindex", "0");
    const turn = () => caption.classList.toggle("folded");
    caption.addEventListener("click", turn);
    caption.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        turn();
      }
    });
  }

  const article = document.querySelector("article.bd-article");
  const runs = article && [...article.querySelectorAll("p strong")].find(
    (strong) => strong.textContent.trim() === "Runs in"
  );
  if (runs) {
    const copy = article.cloneNode(true);
    for (const other of copy.querySelectorAll("pre, mjx-container, script")) {
      other.remove();
    }
    const words = copy.textContent.split(/\s+/).filter(Boolean).length;
    const minutes = Math.max(1, Math.round(words / 220));
    runs.parentElement.append(` Reading takes about ${minutes} minutes.`);
  }
});
