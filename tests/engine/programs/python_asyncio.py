"""asyncio: tasks, subprocesses, pipes, signals, TCP and Unix servers, TLS between two ends, executor."""
import asyncio, os, signal, ssl, subprocess, sys, tempfile

async def echo(reader, writer):
    while line := await reader.readline(): writer.write(line.upper())
    writer.close()
async def talk(reader, writer):
    writer.write(b"hello\nworld\n"); writer.write_eof() if writer.can_write_eof() else None
    lines = [await reader.readline(), await reader.readline()]; writer.close(); return lines
async def main(folder):
    print(await asyncio.gather(*(asyncio.sleep(0.01 * (5 - i), i) for i in range(5))))
    try: await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except TimeoutError: print("timed out")
    process = await asyncio.create_subprocess_exec("sh", "-c", "cat; exit 3", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(await process.communicate(b"through asyncio"), process.returncode)
    server = await asyncio.start_server(echo, "127.0.0.1", 0); port = server.sockets[0].getsockname()[1]
    async def visit(): return await talk(*await asyncio.open_connection("127.0.0.1", port))
    print(await asyncio.gather(*(visit() for _ in range(5))))
    unix = await asyncio.start_unix_server(echo, f"{folder}/socket"); print(await talk(*await asyncio.open_unix_connection(f"{folder}/socket")))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/key", "-out", f"{folder}/cert",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); mine.load_cert_chain(f"{folder}/cert", f"{folder}/key")
    theirs = ssl.create_default_context(cafile=f"{folder}/cert")
    secure = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=mine); port = secure.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs, server_hostname="localhost")
    print(writer.get_extra_info("ssl_object").version()); writer.write(b"secret\n"); print(await reader.readline()); writer.close()
    loop = asyncio.get_running_loop(); asked = loop.create_future(); loop.add_signal_handler(signal.SIGUSR1, asked.set_result, "signalled")
    os.kill(os.getpid(), signal.SIGUSR1); print(await asked)
    print(await loop.run_in_executor(None, sum, range(1000)), await asyncio.to_thread(len, "abc"))
    for one in (server, unix, secure): one.close()

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
