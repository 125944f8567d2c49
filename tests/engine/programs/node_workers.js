// worker_threads with shared memory and atomics, child_process in all its forms.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { spawn, exec, execFile, fork, spawnSync } = require('child_process');
if (process.send) { process.on('message', m => { process.send({ doubled: m * 2 }); process.disconnect(); }); }
else if (!isMainThread) {
  const cells = new Int32Array(workerData.shared); for (let i = 0; i < 1000; i++) Atomics.add(cells, 0, 1);
  Atomics.notify(cells, 1); parentPort.postMessage({ id: workerData.id, primes: [...Array(200).keys()].filter(n => n > 1 && [...Array(n).keys()].slice(2).every(d => n % d)).length });
} else (async () => {
  const shared = new SharedArrayBuffer(8);
  const results = await Promise.all([1, 2, 3, 4].map(id => new Promise((done, fail) => { const worker = new Worker(__filename, { workerData: { id, shared } }); worker.on('message', done); worker.on('error', fail); })));
  console.log(results.map(r => `${r.id}:${r.primes}`).join(' '), new Int32Array(shared)[0]);
  const run = (command, args, input) => new Promise(done => { const child = spawn(command, args); let out = ''; child.stdout.on('data', d => out += d); child.on('error', e => done(e.code)); child.on('close', (code, signal) => done(`${out.trim()} ${code} ${signal}`)); if (input) child.stdin.end(input); });
  console.log(await run('cat', [], 'piped')); console.log(await run('sh', ['-c', 'kill -TERM $$'])); console.log(await run('/no/such', []));
  console.log(await new Promise(done => exec('echo $((6*7)); exit 3', (error, out) => done(`${out.trim()} ${error.code}`))));
  console.log(await new Promise(done => execFile('sleep', ['10'], { timeout: 100 }, error => done(error.signal))));
  const result = spawnSync('sh', ['-c', 'echo out; echo err >&2; exit 5'], { encoding: 'utf8' }); console.log(result.status, result.stdout, result.stderr);
  const child = fork(__filename); child.send(21); console.log(await new Promise(done => child.on('message', done)));
})();
