// Runs its fragment again when the server says that it has something else to show (ui/news.py).
const FIRST_WAIT = 250, LONGEST_WAIT = 4000, APART = 8; // milliseconds
const FIRST_LOOK = 1000; // the page is drawn first: the server may start the worker when it is first asked

// One websocket a tab, shared by the fragments that listen.
const hub = (path) => {
  const heard = new Map(); // channel -> {token, ring}
  let socket, asked, wait = FIRST_WAIT, turns = [], turning = false;
  const say = () => {
    asked = undefined;
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify(Object.fromEntries([...heard].map(([channel, { token }]) => [channel, token]))));
  };
  // One after another: Streamlit sends clicks of one moment together, and those of two fragments run the whole page.
  const next = () => {
    const channel = turns.shift();
    turning = channel !== undefined;
    if (!turning) return;
    setTimeout(next, APART); // whatever becomes of this one
    heard.get(channel)?.ring();
  };
  const soon = () => (asked ??= setTimeout(say, 0));
  const open = () => {
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(address);
    socket.onopen = () => ((wait = FIRST_WAIT), say());
    socket.onmessage = ({ data }) => {
      turns.push(...JSON.parse(data).filter((channel) => !turns.includes(channel)));
      if (!turning) next();
    };
    socket.onclose = () => {
      setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    };
  };
  setTimeout(open, FIRST_LOOK);
  return {
    listen: (channel, token, ring) => (heard.set(channel, { token, ring }), soon()),
    leave: (channel, ring) => heard.get(channel)?.ring === ring && (heard.delete(channel), soon()),
  };
};

export default function ({ data: { path, channel, token }, setTriggerValue }) {
  const news = (window.paretoscopeNews ??= hub(path));
  const ring = () => setTriggerValue("came", token);
  news.listen(channel, token, ring);
  return () => news.leave(channel, ring);
}
