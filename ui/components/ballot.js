// Two answers to one prompt without their names, and a vote: by a button, or by 1, 2, 3, 4 anywhere on the page but in
// a field. A vote says which ballot it is for, and none is sent before the next ballot is there.
const CHOICES = [["left", "Left"], ["right", "Right"], ["tie", "Tie"], ["bad", "Both bad"]];
const FIELDS = "input, textarea, select, [contenteditable=''], [contenteditable='true'], [role='combobox'], [role='slider']";

const typing = (event) => event.composedPath().some((each) => each instanceof Element && each.matches(FIELDS));

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ballot");
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const vote = (choice) => {
    if (root.dataset.voted === data.token) return;
    root.dataset.voted = data.token;
    for (const each of root.querySelectorAll("button")) each.disabled = true;
    setTriggerValue("voted", { token: data.token, choice });
  };
  if (root.dataset.token !== data.token) {
    root.dataset.token = data.token;
    delete root.dataset.voted;
    const answer = (side, title) => {
      const made = make("section", `answer ${side}`);
      const text = make("div", data[side] ? "text" : "text empty", data[side] || "empty");
      text.tabIndex = 0;
      text.setAttribute("role", "group");
      text.setAttribute("aria-label", `${title} answer`);
      made.append(make("div", "side", title), text);
      return made;
    };
    const sides = make("div", "sides");
    sides.append(answer("left", "Left"), answer("right", "Right"));
    const buttons = make("div", "choices");
    CHOICES.forEach(([choice, title], place) => {
      const made = make("button", choice);
      made.type = "button";
      made.append(make("kbd", "", String(place + 1)), ` ${title}`);
      made.setAttribute("aria-keyshortcuts", String(place + 1));
      made.onclick = () => vote(choice);
      buttons.append(made);
    });
    const bar = make("progress", "");
    [bar.max, bar.value] = [data.total, data.done];
    bar.setAttribute("aria-label", "Votes");
    const words = make("span", "words", data.words);
    words.setAttribute("aria-live", "polite");
    const line = make("div", "line");
    line.append(bar, words);
    root.replaceChildren(line, make("div", "prompt", data.prompt), sides, buttons);
  }
  const pressed = (event) => {
    const choice = CHOICES[Number(event.key) - 1]?.[0];
    if (!choice || event.repeat || event.altKey || event.ctrlKey || event.metaKey || typing(event)) return;
    event.preventDefault();
    vote(choice);
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}
