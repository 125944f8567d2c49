/* What the parts that make calls for programs share. Each makes one kind of call for a caller whom
 * the worker has become, and returns what the call returns. */
#ifndef KW_BROKER_PERFORM_H
#define KW_BROKER_PERFORM_H

#include "broker/paths.h"

/* Tells what a verdict says about the caller's call, as broker_permit does. */
static inline long permit_caller(const struct caller *caller, struct kw_policy_verdict verdict,
                                 const char *text) {
    return verdict.action == KW_POLICY_ALLOW ? 0 : broker_permit(caller->told, verdict, text);
}

/* Likewise by the real path of what is held; what has no path is no file. */
long permit_object(const struct caller *caller, int object, u32 access);

/* open, openat, openat2, creat. The result is a descriptor of the worker's; O_CLOEXEC or 0 in
 * *flags. */
long perform_open(const struct caller *caller, u32 *flags);

/* memfd_create: likewise. */
long perform_memfd(const struct caller *caller, u32 *flags);

/* Calls that change a name or an object, or read more of it than is known of its name. */
long perform_change(const struct caller *caller);

/* connect, bind, listen; and those that send. */
long perform_socket(const struct caller *caller);
long perform_send(const struct caller *caller);

/* A copied address of a call. */
struct address {
    union {
        u16 family;
        u8 bytes[128];
        struct {
            u16 local_family;
            char path[108];
        };
    };
    u32 size;
    int held; /* the socket of the file system that it leads to; -1: it leads to none */
};

/* Copies an address. Returns 0 or a negative errno. */
long address_read(const struct caller *caller, u64 from, u32 size, struct address *address);

/* Judges an address that a socket is connected or sent to; one that is a path becomes the name of
 * the socket that it leads to. Returns 0 or a negative errno. */
long address_judge(const struct caller *caller, int socket, struct address *address);
void address_close(struct address *address);

/* How a call on a socket ends that was interrupted: restarted, unless it has a time-out. */
long socket_result(int socket, long result);

/* An option of level SOL_SOCKET; -1: there is none. */
int socket_option(int socket, int name);

#endif
