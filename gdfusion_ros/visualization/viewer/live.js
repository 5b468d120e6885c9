// Frames as they come, from the server that the page came from.

const RETRY = 1000;  // time between two looks whether a server that was gone is there again [ms]

const connect = (drive) => new WebSocket(`${location.origin.replace('http', 'ws')}/${drive}`);

/**
 * Call `arrived` with the JSON of every frame of a drive. When the connection ends, call `lost`, wait for the server,
 * and load the page anew: another drive may have other classes and cameras.
 */
export function receive(drive, arrived, lost) {
  const socket = connect(drive);
  socket.onmessage = ({ data }) => arrived(data);
  socket.onclose = () => {
    lost();
    setTimeout(reload, RETRY, drive);
  };
}

function reload(drive) {
  const socket = connect(drive);
  socket.onopen = () => location.reload();
  socket.onerror = () => setTimeout(reload, RETRY, drive);
}
