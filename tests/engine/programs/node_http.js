// An HTTP server and clients in one process, streams, keep-alive, sockets.
const http = require('http'), net = require('net'), fs = require('fs'), path = require('path'), os = require('os');
const server = http.createServer((request, response) => {
  if (request.url === '/big') { response.writeHead(200); for (let i = 0; i < 100; i++) response.write('x'.repeat(10000)); response.end(); return; }
  let body = ''; request.on('data', d => body += d); request.on('end', () => { response.setHeader('X-Method', request.method); response.end(`${request.url} ${body.length}`); });
});
const ask = (port, path, body) => new Promise((done, fail) => { const request = http.request({ port, path, host: '127.0.0.1', method: body ? 'POST' : 'GET' }, response => { let size = 0, text = ''; response.on('data', d => { size += d.length; if (size < 1000) text += d; }); response.on('end', () => done([response.statusCode, response.headers['x-method'], size, text].join(' '))); }); request.on('error', fail); request.end(body); });
server.listen(0, '127.0.0.1', async () => {
  const port = server.address().port;
  console.log(await ask(port, '/one')); console.log(await ask(port, '/post', 'y'.repeat(50000))); console.log(await ask(port, '/big'));
  console.log((await Promise.all([...Array(20).keys()].map(i => ask(port, `/${i}`)))).join('; '));
  console.log(await (await fetch(`http://127.0.0.1:${port}/fetched`)).text());
  try { await ask(1, '/'); } catch (error) { console.log(error.code); }
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 's-')), 'socket');
  const unix = net.createServer(socket => socket.pipe(socket)).listen(file, () => {
    const client = net.connect(file, () => client.write('echoed')); client.on('data', d => { console.log(String(d)); client.end(); unix.close(); server.close(); server.closeAllConnections(); });
  });
});
