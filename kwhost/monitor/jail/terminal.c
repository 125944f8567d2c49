#include "jail/terminal.h"

#include <asm/ioctls.h>
#include <asm/termios.h>

#include "jail/kernel.h"

bool terminal_make(const struct launch *launch, int devpts, int pair[2], struct failure *failure) {
    const struct kw_launch *record = launch->record;
    int unlocked = 0;
    if (devpts < 0)
        return fail(failure, STATUS_OWN, 0, "a terminal needs a devpts among the mounts");
    long master = host(__NR_openat, devpts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
    long result = master;
    if (result >= 0)
        result = host(__NR_ioctl, master, TIOCSPTLCK, &unlocked);
    if (result >= 0)
        result = host(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    pair[0] = (int)master;
    pair[1] = (int)result;
    bool mapped = !launch_is_bare(launch);         /* a host's terminal is given away by host ids */
    if (result >= 0 && mapped && record->uid != 0) /* the group stays: it is the terminals' */
        result = host(__NR_fchown, pair[1], record->uid, -1);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "making the instance's terminal");
    terminal_resize(pair[0], record->tty_rows, record->tty_columns);
    return true;
}

bool terminal_control(int slave, struct failure *failure) {
    long result = host(__NR_ioctl, slave, TIOCSCTTY, 0);
    return result >= 0 || fail(failure, STATUS_OWN, result, "taking control of the terminal");
}

void terminal_resize(int master, u32 rows, u32 columns) {
    struct winsize size = {.ws_row = (u16)rows, .ws_col = (u16)columns};
    host(__NR_ioctl, master, TIOCSWINSZ, &size);
}
