// Makes plotly.js, sent as bytes from the installed package, available to the charts of this window. A chart asks for
// it where it did not arrive (see chart.js).
export default function ({ data }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  if (shared.plotly || shared.loading || !data?.length) return;
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
