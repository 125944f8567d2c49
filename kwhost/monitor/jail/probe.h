/* What of a jail can be had on this host: `kwhost-monitor probe`. */
#ifndef KW_JAIL_PROBE_H
#define KW_JAIL_PROBE_H

/* Tries, writes a line "NAME VALUE" for each thing to standard output, and ends with 0:
 *
 * - jail: "ok", or what of the namespaces and mounts of a program without a monitor cannot be made,
 *   and why;
 * - landlock: its version, 0 for none;
 * - notify: "ok", or why no seccomp filter can ask a broker;
 * - children: "ok", or why no keeper finds its children (jail/keeper.h);
 * - capabilities: of this process, in hexadecimal. */
_Noreturn void probe_main(void);

#endif
