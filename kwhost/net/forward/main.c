/* kwhost-forward: leads calls at published ports into instances' network namespaces.
 *
 *   kwhost-forward serve LISTENER LOCK DIRECTORY    the forwarder; numbers of inherited descriptors
 *   kwhost-forward relay                            one target's relay; the forwarder starts it
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"
#include "serve.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* The number of an open descriptor, or -1. */
static int descriptor(const char *text) {
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end || number < 0 || number > INT_MAX)
        return -1;
    return fcntl((int)number, F_GETFD) < 0 ? -1 : (int)number;
}

int main(int argc, char **argv) {
    int error = -EINVAL;
    if (argc == 2 && strcmp(argv[1], "relay") == 0)
        return relay() ? STATUS_FAILED : 0;
    if (argc == 5 && strcmp(argv[1], "serve") == 0) {
        int listener = descriptor(argv[2]), lock = descriptor(argv[3]),
            directory = descriptor(argv[4]);
        if (listener >= 0 && lock >= 0 && directory >= 0)
            error = serve(listener, lock, directory);
    } else {
        fprintf(stderr, "usage: kwhost-forward serve LISTENER LOCK DIRECTORY\n");
        return STATUS_USAGE;
    }
    if (error)
        fprintf(stderr, "%s\n", strerror(-error));
    return error ? STATUS_FAILED : 0;
}
