/* Internet addresses as policies know them. */
#ifndef KW_CALLS_INTERNET_H
#define KW_CALLS_INTERNET_H

#include "policy/policy.h"

/* Reads an internet address; false for every other, and for what the kernel will not take. */
bool internet_read(const void *name, u64 size, struct policy_address *address);

/* The protocol of a socket, as rules know it. */
u8 internet_protocol(int fd);

/* What is told of an address: "192.0.2.1:443/tcp". */
#define INTERNET_TEXT 64
void internet_describe(const struct policy_address *address, char text[INTERNET_TEXT]);

#endif
