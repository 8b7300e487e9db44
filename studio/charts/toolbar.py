"""Configuration of plotly around a chart: its toolbar, and no network access.

One set of options for every chart, the app's own and those that Streamlit draws.
"""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "displayModeBar": True,
    "displaylogo": False,  # a link to plotly.com
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "topojsonURL": "",
    "typesetMath": False,  # a name with dollars is a name
    # a picture is taken by the chart's own buttons, with the page's background
    "modeBarButtonsToRemove": [
        "sendChartToCloud", "toImage", "lasso2d", "select2d", "autoScale2d",
        "resetCameraLastSave3d", "hoverClosest3d", "tableRotation",
    ],
}  # fmt: skip
"""Options of plotly.js 4.1.1; the names of its buttons are those of its modebar."""

STOCK = CONFIG | {
    "modeBarButtonsToRemove": [
        each for each in CONFIG["modeBarButtonsToRemove"] if each != "toImage"
    ]
}
"""For a chart that Streamlit draws, which has no buttons of ours."""
