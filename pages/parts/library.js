// Makes plotly.js, sent once as bytes from the installed package, available to the charts of this page.
export default function ({ data, setStateValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  if (shared.plotly) {
    setStateValue("ready", true);
    return;
  }
  if (shared.loading || !data || !data.length) return;
  shared.loading = true;
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([data], { type: "text/javascript" }));
  script.onload = () => {
    URL.revokeObjectURL(script.src);
    shared.plotly = window.Plotly;
    for (const draw of shared.waiting.splice(0)) draw();
    setStateValue("ready", true);
  };
  document.head.appendChild(script);
}
