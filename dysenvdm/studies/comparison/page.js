"use strict";
// Tables that sort: rows without a value stay last, a second press turns the order round.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const column = [...head.parentNode.children].indexOf(head);
    const first = head.dataset.first || "ascending", other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const each of head.parentNode.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => row.children[column].dataset.v;
    const compared = (a, b) => {
      const x = value(a), y = value(b);
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      const numbers = [Number(x), Number(y)];
      return sign * (numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1]);
    };
    body.append(...[...body.rows].sort(compared));
  });
}

// Videos of a prompt are read when it is opened, and play together.
for (const details of document.querySelectorAll("#prompts details")) {
  const videos = details.querySelectorAll("video");
  details.addEventListener("toggle", () => {
    for (const video of videos) {
      if (details.open) video.preload = "auto";
      else video.pause();
    }
  });
  const together = details.querySelector(".act");
  if (together) {
    together.addEventListener("click", () => {
      for (const video of videos) {
        video.currentTime = 0;
        video.play();
      }
    });
  }
}

// Prompts that contain what is typed.
const find = document.getElementById("find"), told = document.getElementById("found");
if (find) {
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    let count = 0;
    for (const details of document.querySelectorAll("#prompts details")) {
      details.hidden = !details.dataset.prompt.toLowerCase().includes(wanted);
      count += !details.hidden;
    }
    told.textContent = `${count} shown`;
  });
}
