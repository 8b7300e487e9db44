// Stands around every component: one that fails says so in our words, in its own place. `paint` is the component.
export default function (given) {
  try {
    return paint(given);
  } catch (error) {
    const told = document.createElement("pre");
    told.className = "unforeseen";
    told.style.cssText =
      "box-sizing: border-box; width: 100%; margin: 0; padding: 8px 12px; border-radius: 8px; " +
      "border: 1px solid color-mix(in srgb, var(--st-red-color, red) 50%, transparent); " +
      "font: 14px/1.4 var(--st-font); color: var(--st-text-color); white-space: pre-wrap; overflow-wrap: anywhere";
    told.setAttribute("role", "alert");
    told.textContent =
      "This part of the page failed unexpectedly. Points measured so far are safe. " +
      `Reload the page.\n\n${error}`;
    given.parentElement.replaceChildren(told);
    // what draws nothing has no place on the page until it fails
    const root = given.parentElement.getRootNode();
    const place = (root.host ?? given.parentElement).closest("[class*=st-key-]");
    if (place) place.style.position = "static";
    console.error(error);
  }
}
