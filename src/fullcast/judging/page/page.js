// Click a picture to see it large; arrow keys walk, Escape closes.
(() => {
  const pictures = [...document.querySelectorAll("figure .frame")];
  const dialog = document.createElement("dialog");
  document.body.append(dialog);
  let at = 0;
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const figure = pictures[at].closest("figure").cloneNode(true);
    dialog.replaceChildren(figure);
    if (!dialog.open) dialog.showModal();
  };
  pictures.forEach((frame, index) => frame.addEventListener("click", () => show(index)));
  dialog.addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", (event) => {
    if (!dialog.open) return;
    if (event.key === "ArrowRight") show(at + 1);
    if (event.key === "ArrowLeft") show(at - 1);
  });
})();
