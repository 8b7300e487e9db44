// Makes plotly.js, sent once as bytes from the installed package, available to the charts of this page.
export default function ({ data, setStateValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  if (shared.loading || !data || !data.length) return; // no bytes: the app knows that it is here
  if (shared.plotly) {
    setStateValue("ready", true);
    return;
  }
  shared.loading = true;
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([data], { type: "text/javascript" }));
  script.onload = () => {
    URL.revokeObjectURL(script.src);
    shared.loading = false;
    shared.plotly = window.Plotly;
    for (const draw of shared.waiting.splice(0)) draw();
    setStateValue("ready", true);
  };
  document.head.appendChild(script);
}
