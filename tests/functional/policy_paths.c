/* What tests of policies do with paths inside an instance. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a file says, or why it cannot be opened. */
static void show(const char *what, const char *path) {
  char text[64] = "";
  int fd = open(path, O_RDONLY);
  if (fd < 0)
    strcpy(text, strerrorname_np(errno));
  else
    read(fd, text, sizeof text - 1);
  text[strcspn(text, "\n")] = 0;
  printf("%s: %s\n", what, text);
  if (fd >= 0)
    close(fd);
}

static void point(const char *link, const char *to) {
  unlink(link);
  symlink(to, link);
}

/* A link that is opened several times, and leads elsewhere in between. */
static int links(void) {
  chdir("/tmp");
  mkdir("one", 0700);
  mkdir("two", 0700);
  for (int i = 0; i < 2; i++) {
    int fd = open(i ? "two/file" : "one/file", O_CREAT | O_WRONLY, 0600);
    write(fd, i ? "two\n" : "one\n", 4);
    close(fd);
  }
  point("way", "one");
  show("first", "/tmp/way/file");
  show("again", "/tmp/way/file");
  show("relative", "way/file");
  show("missing", "/tmp/way/none");
  point("way", "two");
  show("moved", "/tmp/way/file");
  point("way", "../tmp/./one");
  show("around", "/tmp/way/file");
  point("further", "two");
  point("way", "/tmp/further");
  show("twice", "/tmp/way/file");
  show("twice again", "/tmp/way/file");
  point("further", "way");
  show("circle", "/tmp/way/file");
  unlink("way");
  rename("one", "way");
  show("directory", "/tmp/way/file");
  point("last", "two/file");
  show("last", "/tmp/last");
  show("last again", "/tmp/last");
  printf("not followed: %s\n", open("/tmp/last", O_RDONLY | O_NOFOLLOW) < 0
                                   ? strerrorname_np(errno)
                                   : "ok");
  point("last", "priv");
  show("refused", "/tmp/last");
  point("last", "new");
  printf("made: %s\n", open("/tmp/last", O_CREAT | O_WRONLY, 0600) < 0
                           ? strerrorname_np(errno)
                           : "ok");
  printf("is there: %s\n", access("/tmp/new", F_OK) ? "no" : "yes");
  point("last", "/proc/self/cwd/two/file");
  show("proc", "/tmp/last");
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "links"))
    return links();
  return 2;
}
