/* Terminals and job control on a pseudo terminal made here. */
#include "check.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;
static char terminal[64];

/* Everything the terminal shows until `end` appears (or nothing comes for long). */
static void until(const char *end) {
    static char text[4096];
    size_t used = 0;
    struct pollfd event = {master, POLLIN, 0};
    while (used < sizeof text - 1 && poll(&event, 1, 5000) > 0) {
        long got = read(master, text + used, sizeof text - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
        text[used] = 0;
        if (strstr(text, end))
            break;
    }
    text[used] = 0;
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n"))
        printf("| %s\n", line);
}

static void opening(void) {
    title("opening");
    master = MUST(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    SHOW(grantpt(master));
    SHOW(unlockpt(master));
    MUST(ptsname_r(master, terminal, sizeof terminal) == 0 ? 0 : -1);
    printf("path %.9s\n", terminal);
    SHOW(isatty(master));
    int slave = MUST(open(terminal, O_RDWR | O_NOCTTY));
    struct winsize size = {.ws_row = 33, .ws_col = 99}, got;
    SHOW(ioctl(master, TIOCSWINSZ, &size));
    SHOW(ioctl(slave, TIOCGWINSZ, &got));
    printf("size %d %d\n", got.ws_row, got.ws_col);
    struct termios mode;
    SHOW(tcgetattr(slave, &mode));
    printf("lflag %x oflag %x intr %d\n", mode.c_lflag, mode.c_oflag, mode.c_cc[VINTR]);
    SHOW(write(slave, "a\nb", 3));
    char text[32] = {0};
    SHOW(read(master, text, sizeof text));
    mode.c_oflag &= ~(tcflag_t)OPOST;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    SHOW(tcsetattr(slave, TCSANOW, &mode));
    SHOW(write(slave, "a\nb", 3));
    SHOW(read(master, text, sizeof text));
    SHOW(write(master, "keys", 4));
    int left = 0;
    MUST(poll(&(struct pollfd){slave, POLLIN, 0}, 1,
              5000)); /* the kernel passes keys on in its own time */
    SHOW(ioctl(slave, FIONREAD, &left));
    printf("left %d\n", left);
    SHOW(read(slave, text, sizeof text));
    SHOW(tcgetpgrp(slave));
    SHOW(ioctl(slave, TIOCGPTN, &left));
    SHOW(tcflush(slave, TCIOFLUSH));
    SHOW(tcgetsid(slave));
    close(slave);
    SHOW(read(master, text, sizeof text));
    SHOW(open("/dev/tty", O_RDWR));
}

static volatile sig_atomic_t taken[65];
static void on_signal(int signal) {
    taken[signal]++;
}

/* The session leader: owns the terminal, runs jobs in groups of their own. */
static void leader(void) {
    close(master); /* or closing the other one would not hang up */
    signal(SIGHUP, SIG_DFL);
    MUST(setsid());
    int tty = MUST(open(terminal, O_RDWR));
    dup2(tty, 0), dup2(tty, 1), dup2(tty, 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("foreground %d\n", tcgetpgrp(0) == getpgrp());
    OK(open("/dev/tty", O_RDWR));
    signal(SIGTTOU, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGWINCH, on_signal);
    pid_t job = fork_flushed();
    if (!job) {
        setpgid(0, 0);
        signal(SIGINT, SIG_DFL);
        signal(SIGTTOU, SIG_DFL);
        char text[32] = {0};
        long got = read(0, text, sizeof text); /* from the background: SIGTTIN */
        printf("job read %ld %s", got, text);
        printf("job waits for ^Z\n");
        for (;;)
            pause();
    }
    setpgid(job, job);
    int status;
    MUST(waitpid(job, &status, WUNTRACED));
    show_status("background read", status);
    printf("to foreground %d\n", tcsetpgrp(0, job));
    kill(-job, SIGCONT);
    printf("type\n");
    MUST(waitpid(job, &status, WUNTRACED));
    show_status("after ^Z", status);
    tcsetpgrp(0, getpgrp());
    kill(-job, SIGCONT);
    tcsetpgrp(0, job);
    pause_ms(20);
    printf("press ^C\n");
    MUST(waitpid(job, &status, WUNTRACED));
    show_status("after ^C", status);
    tcsetpgrp(0, getpgrp());
    printf("resize\n");
    while (!taken[SIGWINCH])
        pause_ms(5);
    struct winsize size;
    ioctl(0, TIOCGWINSZ, &size);
    printf("resized to %d %d, leader took INT %d\n", size.ws_row, size.ws_col, taken[SIGINT]);
    pid_t orphan = fork_flushed();
    if (!orphan) {
        signal(SIGHUP, on_signal);
        printf("wait for hangup\n");
        while (!taken[SIGHUP])
            pause_ms(5);
        leave_child(0);
    }
    pause_ms(10000);
    leave_child(0);
}

int main(void) {
    alarm(40);
    opening();
    title("job control");
    master = MUST(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    MUST(grantpt(master));
    MUST(unlockpt(master));
    MUST(ptsname_r(master, terminal, sizeof terminal) == 0 ? 0 : -1);
    pid_t child = fork_flushed();
    if (!child)
        leader();
    until("type");
    MUST(write(master, "hello\n", 6));
    until("for ^Z");
    MUST(write(master, "\032", 1));
    until("press ^C");
    MUST(write(master, "\003", 1));
    until("resize");
    struct winsize size = {.ws_row = 12, .ws_col = 34};
    MUST(ioctl(master, TIOCSWINSZ, &size));
    until("hangup");
    close(master);
    reap("leader", child);
    return 0;
}
