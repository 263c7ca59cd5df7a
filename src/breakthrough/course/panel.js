// The kernel writes the whole board as HTML; here it is put in place, its bar grows, and news are read aloud.
function render({ model, el }) {
  const board = el.appendChild(document.createElement("div"));
  const news = el.appendChild(document.createElement("div"));
  news.setAttribute("role", "status");
  news.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";

  function draw() {
    const before = board.querySelector("[data-fill]")?.style.width;
    board.innerHTML = model.get("html");
    const bar = board.querySelector("[data-fill]");
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (bar && before && before !== bar.style.width && !still) {
      bar.animate([{ width: before }, { width: bar.style.width }], { duration: 600, easing: "ease-out" });
    }
  }

  function tell() {
    news.textContent = model.get("said");
  }

  model.on("change:html", draw);
  model.on("change:said", tell);
  draw();
  return () => {
    model.off("change:html", draw);
    model.off("change:said", tell);
  };
}

export default { render };
