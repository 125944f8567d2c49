/* What the short words of table.def mean. For the few files that make a table of it. */
#ifndef KW_CALLS_TABLE_WORDS_H
#define KW_CALLS_TABLE_WORDS_H

#define NONE                                                                                       \
    { ARG_NONE, 0 }
#define INT                                                                                        \
    { ARG_INT, 0 }
#define FD                                                                                         \
    { ARG_FD, 0 }
#define DIRFD                                                                                      \
    { ARG_DIRFD, 0 }
#define PATH                                                                                       \
    { ARG_PATH, 0 }
#define STRING                                                                                     \
    { ARG_STRING, 0 }
#define PTR                                                                                        \
    { ARG_POINTER, 0 }
#define IN(n)                                                                                      \
    { ARG_IN, n }
#define OUT(n)                                                                                     \
    { ARG_OUT, n }
#define IN32(n)                                                                                    \
    { ARG_IN, (n) | ARG_LENGTH_32 }
#define OUT32(n)                                                                                   \
    { ARG_OUT, (n) | ARG_LENGTH_32 }
#define IOVEC(n)                                                                                   \
    { ARG_IOVEC, n }
#define SOCKADDR(n)                                                                                \
    { ARG_SOCKADDR, n }
#define SIGNAL                                                                                     \
    { ARG_SIGNAL, 0 }
#define FLAGS                                                                                      \
    { ARG_FLAGS, 0 }
#define MODE                                                                                       \
    { ARG_MODE, 0 }
#define PID                                                                                        \
    { ARG_PID, 0 }
#define ADDRESS                                                                                    \
    { ARG_ADDRESS, 0 }
#define TIME                                                                                       \
    { ARG_TIME, 0 }
#define SIGSET                                                                                     \
    { ARG_SIGSET, 0 }
#define MSGHDR                                                                                     \
    { ARG_MSGHDR, 0 }
#define ARGS(...)                                                                                  \
    { __VA_ARGS__ }

#endif
