// Stands around every component: one that fails says so in our words, in its own place. `paint` is the component.
export default function (given) {
  try {
    return paint(given);
  } catch (error) {
    const told = document.createElement("pre");
    told.className = "unforeseen";
    told.style.whiteSpace = "pre-wrap";
    told.setAttribute("role", "alert");
    told.textContent =
      "This part of the page failed, which was not foreseen. Points measured so far are safe. " +
      `Reload the page.\n\n${error}`;
    given.parentElement.replaceChildren(told);
    console.error(error);
  }
}
