/* Internet addresses in calls, judged by the policy. The address judged is the monitor's copy,
 * which is the one used; the socket is a duplicate that no other guest thread can replace. */
#ifndef KW_CALLS_ADDRESSES_H
#define KW_CALLS_ADDRESSES_H

#include "calls/call.h"

/* A guest's descriptor for the length of a call. */
struct borrowed {
    int fd; /* or a negative errno */
    bool own;
};
struct borrowed borrow(struct thread *thread, s32 fd);
void give_back(struct borrowed borrowed);

/* Judges an address that is sent to; `name` is a copy, or what copy_sockaddr makes of one that
 * cannot be copied. Returns 0 or a negative errno. */
long permit_destination(struct call *call, int fd, u64 name, u64 size);

#endif
