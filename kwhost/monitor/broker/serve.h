/* The broker's own side. */
#ifndef KW_BROKER_SERVE_H
#define KW_BROKER_SERVE_H

struct supervisor;

/* From supervise, a packet with a descriptor, or NAMESPACE_FDS of them. */
enum broker_message { BROKER_NAMESPACES = 1, BROKER_ROOT, BROKER_LISTENER };

/* Runs in the new process. */
_Noreturn void broker_serve(const struct supervisor *supervisor, int channel);

#endif
