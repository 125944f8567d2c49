/* System V semaphores and message queues, POSIX message queues. */
#include "check.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

struct text_message {
    long type;
    char text[32];
};
union argument {
    int value;
    struct semid_ds *info;
    unsigned short *all;
};

static void semaphores(void) {
    title("semaphores");
    int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
    SHOW(id >= 0 ? 0 : -1);
    if (id < 0)
        return;
    SHOW(semctl(id, 0, SETVAL, (union argument){.value = 3}));
    SHOW(semctl(id, 0, GETVAL));
    struct sembuf down = {0, -1, IPC_NOWAIT}, far = {5, 1, 0}, wait = {1, -1, 0},
                  up = {1, 1, SEM_UNDO};
    SHOW(semop(id, &down, 1));
    SHOW(semctl(id, 0, GETVAL));
    down.sem_op = -9;
    SHOW(semop(id, &down, 1));
    SHOW(semop(id, &far, 1));
    SHOW(semop(id, (void *)8, 1));
    struct timespec time = {0, 20000000};
    SHOW(semtimedop(id, &wait, 1, &time));
    pid_t child = fork_flushed();
    if (!child) {
        while (semctl(id, 1, GETNCNT) < 1) /* with this process what it did is undone */
            pause_ms(1);
        MUST(semop(id, &up, 1));
        leave_child(0);
    }
    SHOW(semop(id, &wait, 1));
    reap("child", child);
    struct semid_ds info;
    SHOW(semctl(id, 0, IPC_STAT, (union argument){.info = &info}));
    printf("count %lu\n", (unsigned long)info.sem_nsems);
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(semop(id, &wait, 1));
    SHOW(semget(4711, 1, 0));
}

static void messages(void) {
    title("messages");
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    SHOW(id >= 0 ? 0 : -1);
    if (id < 0)
        return;
    struct text_message message = {2, "second type"}, got;
    SHOW(msgsnd(id, &message, sizeof message.text, 0));
    message = (struct text_message){1, "first type"};
    SHOW(msgsnd(id, &message, sizeof message.text, 0));
    SHOW(msgrcv(id, &got, sizeof got.text, 1, 0));
    printf("%s\n", got.text);
    SHOW(msgrcv(id, &got, 3, 0, 0));
    SHOW(msgrcv(id, &got, 3, 0, MSG_NOERROR));
    SHOW(msgrcv(id, &got, sizeof got.text, 0, IPC_NOWAIT));
    message.type = 0;
    SHOW(msgsnd(id, &message, 5, 0));
    SHOW(msgsnd(id, (void *)8, 5, 0));
    SHOW(msgctl(id, IPC_RMID, NULL));
    SHOW(msgrcv(id, &got, 3, 0, 0));
}

static void queues(void) {
    title("POSIX queues");
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 16};
    mqd_t queue = mq_open("/check", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes);
    SHOW(queue >= 0 ? 0 : -1);
    if (queue < 0)
        return;
    char text[16] = {0};
    unsigned priority;
    SHOW(mq_send(queue, "low", 4, 1));
    SHOW(mq_send(queue, "high", 5, 9));
    SHOW(mq_receive(queue, text, sizeof text, &priority));
    printf("%s %u\n", text, priority);
    SHOW(mq_receive(queue, text, 3, NULL));
    SHOW(mq_send(queue, text, 17, 0));
    SHOW(mq_receive(queue, text, sizeof text, NULL));
    SHOW(mq_receive(queue, text, sizeof text, NULL));
    SHOW(mq_getattr(queue, &attributes));
    printf("%ld %ld %ld\n", attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs);
    SHOW(mq_unlink("/check"));
    SHOW(mq_unlink("/check"));
    SHOW(mq_open("/check", O_RDWR));
    SHOW(mq_open("no-slash", O_RDWR));
}

int main(void) {
    alarm(20);
    semaphores();
    messages();
    queues();
    return 0;
}
