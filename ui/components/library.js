// Brings plotly.js to this window by its address (ui/library.py), and asks again where it did not come.
const FIRST_WAIT = 250; // milliseconds, doubled each time

// Tab leaves the table of points: left to the table, it walks from cell to cell, and each is taken for a choice.
const leave = (event) => {
  if (event.key === "Tab" && event.target.closest?.(".st-key-table")) event.stopImmediatePropagation();
};

export default function ({ data }) {
  window.addEventListener("keydown", leave, true); // the same one is added once
  const shared = (window.paretoscope ??= { waiting: [] });
  shared.source = data; // a server that was restarted may have another version
  const came = () => {
    shared.loading = false;
    shared.plotly = window.Plotly;
    for (const draw of shared.waiting.splice(0)) draw();
  };
  const bring = (wait) => {
    if (shared.plotly || shared.loading) return;
    if (window.Plotly) return came();
    shared.loading = true;
    const early = document.getElementById("plotly"); // of the document (ui/document), still on its way
    const script = early ?? document.createElement("script");
    script.addEventListener("load", came);
    script.addEventListener("error", () => {
      script.remove();
      setTimeout(() => {
        shared.loading = false;
        bring(2 * wait);
      }, wait);
    });
    if (early) return;
    script.src = shared.source;
    document.head.appendChild(script);
  };
  bring(FIRST_WAIT);
}
