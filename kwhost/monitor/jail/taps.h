/* The taps of a launch record, as the kernel knows them. */
#ifndef KW_JAIL_TAPS_H
#define KW_JAIL_TAPS_H

#include "jail/record.h"

/* Checks that each descriptor is what the record says: a queue of the device of that name, in use,
 * which gives and takes frames with a virtio header of that size. */
bool taps_check(const struct launch *launch, struct failure *failure);

/* The engine direct's answer to a record with a tap: its programs make the host's own network
 * calls, in a namespace, and nobody would drive the tap. */
bool taps_refuse(const struct launch *launch, struct failure *failure);

#endif
