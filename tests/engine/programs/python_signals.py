"""Signals, timers, faulthandler, KeyboardInterrupt, wakeup descriptors."""
import faulthandler, os, select, signal, subprocess, sys, threading, time

seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
os.kill(os.getpid(), signal.SIGUSR1); print(seen)
signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.3); print(seen)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(seen) < 10: signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0); print(len(seen) >= 10)
def interrupt(): time.sleep(0.05); os.kill(os.getpid(), signal.SIGINT)
helper = threading.Thread(target=interrupt); helper.start()
try: time.sleep(10)
except KeyboardInterrupt: print("interrupted")
helper.join()
reader, writer = os.pipe(); os.set_blocking(writer, False); signal.set_wakeup_fd(writer)
os.kill(os.getpid(), signal.SIGUSR1); print(select.select([reader], [], [], 5)[0] == [reader], os.read(reader, 1))
signal.set_wakeup_fd(-1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); signal.raise_signal(signal.SIGUSR2)
print(signal.sigpending(), signal.sigwait([signal.SIGUSR2]), signal.sigtimedwait([signal.SIGUSR2], 0.01))
threading.Thread(target=lambda: (time.sleep(0.02), signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))).start()
time.sleep(0.2); print(seen[-1])
for code, name in (("import os; os.abort()", "abort"), ("import ctypes; ctypes.string_at(8)", "segv"), ("import os,signal; os.kill(os.getpid(), signal.SIGTERM)", "term"),
                   ("import faulthandler, ctypes; faulthandler.enable(); ctypes.string_at(8)", "handled")):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(name, done.returncode, "Segmentation fault" in done.stderr)
done = subprocess.run([sys.executable, "-c", "import signal; signal.alarm(1); signal.pause()"]); print(done.returncode)
sys.exit(0)
