// Makes plotly.js, sent as bytes from the installed package, available to the charts of this window. Asked for again
// where it did not arrive, as when a newer run overtook the one that sent it; what arrives is not acknowledged: an
// answer at the moment of a click would be one with the click, and all of the page drawn again.
export default function ({ data, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  clearTimeout(shared.asking);
  if (shared.plotly || shared.loading) return;
  if (!data?.length) {
    const ask = (later, next) => {
      shared.asking = setTimeout(() => {
        setTriggerValue("missing", true);
        ask(next, 2 * next);
      }, later);
    };
    ask(200, 5000);
    return () => clearTimeout(shared.asking);
  }
  shared.loading = true;
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([data], { type: "text/javascript" }));
  script.onload = () => {
    URL.revokeObjectURL(script.src);
    shared.loading = false;
    shared.plotly = window.Plotly;
    for (const draw of shared.waiting.splice(0)) draw();
  };
  document.head.appendChild(script);
}
