/* keeper-exec: sets environment variables from files in a memory volume, then executes a command in its own place.

   In this way, secret values reach an application as variables without being in the pod's specification, in an
   argument or in another process. A file is a sequence of NAME=value entries, each terminated by one NUL byte, so that
   a value may contain any other byte. A file that deviates from this is rejected with a one-line message, which never
   contains a value.

   build.sh builds it, statically linked, so that it runs in images that have neither a shell nor a libc.

   MIT, Keeper Injector authors. */
#define _GNU_SOURCE /* execvpe, explicit_bzero */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "unreleased"
#endif

enum {
    FILES = 8,
    FILE_BYTES = 1 << 20,
    ENTRY_BYTES = 128 << 10, /* Linux: MAX_ARG_STRLEN, including the NUL; with one byte more, exec fails */
    ENTRIES = 4096,
    NOT_EXECUTABLE = 126, /* this and the next as in shells: POSIX.1-2017 XCU 2.8.2 */
    NOT_FOUND = 127,
};

static const char usage[] =
    "usage: keeper-exec --file PATH [--file PATH ...] [--override NAME,NAME ...] -- COMMAND [ARG ...]\n"
    "       keeper-exec --ready PATH    exit with 0 if PATH exists\n"
    "       keeper-exec --restart-due PATH [-- COMMAND [ARG ...]]    a liveness probe: exit with 1 if PATH says that this\n"
    "                                   container is to restart, otherwise execute COMMAND, or exit with 0\n"
    "       keeper-exec --version | --help\n";

/* Names that control the loader, a libc, a shell, the start of a language's runtime, or which servers a program trusts:
   someone who may edit a record in Keeper must not be able to run code in a pod with it. Sources: glibc's
   unsecvars.h, sudo's env.c, the manuals of the languages. The agent checks its own files against the same table in
   Python, where the message can name the record; this check is for files from elsewhere. A star at the end matches
   any rest. */
static const char *const never[] = {"GLIBC_TUNABLES", "LD_*", NULL};
static const char *const guarded[] = {
    /* shells */ "BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "FPATH", "GLOBIGNORE", "HOME", "IFS", "PATH",
    "PROMPT_COMMAND", "PS4", "SHELLOPTS", "ZDOTDIR",
    /* libc */ "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH", "MALLOC_*", "NIS_PATH", "NLSPATH",
    "RESOLV_HOST_CONF", "RES_OPTIONS", "TMPDIR", "TZDIR",
    /* trust */ "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "KUBERNETES_*", "NO_PROXY", "OPENSSL_CONF", "OPENSSL_ENGINES",
    "OPENSSL_MODULES", "SSL_CERT_DIR", "SSL_CERT_FILE", "all_proxy", "http_proxy", "https_proxy", "no_proxy",
    /* languages */ "CLASSPATH", "CORECLR_*", "COR_*", "DOTNET_STARTUP_HOOKS", "GEM_*", "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS", "LUA_CPATH*", "LUA_INIT*", "LUA_PATH*", "NODE_OPTIONS", "NODE_PATH", "PERL5DB", "PERL5LIB",
    "PERL5OPT", "PERLIO_DEBUG", "PERLLIB", "PHPRC", "PHP_INI_SCAN_DIR", "PYTHON*", "RUBYLIB", "RUBYOPT",
    "_JAVA_OPTIONS",
    NULL,
};

struct entry {
    char *text; /* points into `text`: values are never copied */
    size_t name; /* length of the name */
    const char *file;
    bool shadowed; /* the container sets this variable itself */
};

/* Not on the heap: no allocation can fail or leave a copy behind, and pages that no file needs are never touched. */
static char text[FILES * FILE_BYTES + 1];
static size_t used;
static struct entry entries[ENTRIES];
static size_t count;
static const char *overrides = "";

__attribute__((format(printf, 2, 3))) _Noreturn static void reject(int code, const char *format, ...) {
    char line[2 * PATH_MAX] = "keeper-exec: ";
    size_t prefix = strlen(line);
    va_list parts;
    va_start(parts, format);
    vsnprintf(line + prefix, sizeof line - prefix - 1, format, parts);
    va_end(parts);
    explicit_bzero(text, used);
    line[strlen(line)] = '\n'; /* the array's last byte was never written, so the text still ends with a NUL */
    ssize_t written = write(STDERR_FILENO, line, strlen(line));
    _exit(written < 0 ? EX_IOERR : code);
}

static size_t name_length(const char *name) {
    size_t n = 0;
    while ((name[n] >= 'A' && name[n] <= 'Z') || (name[n] >= 'a' && name[n] <= 'z') || name[n] == '_' ||
           (n > 0 && name[n] >= '0' && name[n] <= '9'))
        n++;
    return n;
}

static bool listed(const char *const *patterns, const char *name, size_t length) {
    for (; *patterns != NULL; patterns++) {
        size_t fixed = strcspn(*patterns, "*");
        if (length >= fixed && memcmp(name, *patterns, fixed) == 0 && (length == fixed || (*patterns)[fixed] == '*'))
            return true;
    }
    return false;
}

static bool overridden(const char *name, size_t length) {
    for (const char *at = overrides; *at != '\0';) {
        size_t n = strcspn(at, ",");
        if (n == length && memcmp(at, name, n) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static int shown(size_t name) {
    return name < 100 ? (int)name : 100;
}

/* In a damaged file, part of a value may be in the place of a name: only well-formed names are printed. */
static struct entry checked(const char *path, char *at, size_t number) {
    size_t name = name_length(at);
    if (strchr(at, '=') == NULL)
        reject(EX_CONFIG, "%s: entry %zu has no '='; write NAME=value and a NUL byte", path, number);
    if (at[0] == '=')
        reject(EX_CONFIG, "%s: entry %zu has an empty name; write NAME=value and a NUL byte", path, number);
    if (at[name] != '=')
        reject(EX_CONFIG, "%s: entry %zu has a bad name; write letters, digits and _, no digit first", path, number);
    if (strlen(at) + 1 > ENTRY_BYTES)
        reject(EX_CONFIG, "%s: %.*s is too long; name and value together may have 128 KiB", path, shown(name), at);
    if (listed(never, at, name))
        reject(EX_CONFIG, "%s: %.*s controls the program loader; no secret may set it", path, shown(name), at);
    if (listed(guarded, at, name) && !overridden(at, name))
        reject(EX_CONFIG, "%s: %.*s affects more than the application; add it to --override if that is intended", path,
               shown(name), at);
    return (struct entry){.text = at, .name = name, .file = path};
}

static void parse(const char *path, char *start, size_t size) {
    if (size > 0 && start[size - 1] != '\0')
        reject(EX_CONFIG, "%s: truncated; every entry must end with a NUL byte, and the last one does not", path);
    size_t number = 0;
    for (char *at = start; at < start + size; at += strlen(at) + 1) {
        if (count == ENTRIES)
            reject(EX_CONFIG, "%s: too many entries; all files together may have %d", path, ENTRIES);
        entries[count++] = checked(path, at, ++number);
    }
}

/* O_NONBLOCK: opening a FIFO must not block. Symbolic links are followed: files of a volume are links into `..data`. */
static void load(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR))
        reject(EX_UNAVAILABLE, "%s: no such file; the injector's init container writes it, see its log", path);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0)
        reject(errno == EACCES ? EX_NOPERM : EX_IOERR, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        reject(EX_CONFIG, "%s: not a regular file; specify a file of variables", path);
    if (status.st_mode & S_IWOTH)
        reject(EX_CONFIG, "%s: writable by anyone (mode %04o); remove the write permission of others", path,
               (unsigned)status.st_mode & 07777);
    size_t size = 0;
    ssize_t got;
    while ((got = read(file, text + used, FILE_BYTES + 1 - size)) > 0) {
        used += (size_t)got;
        size += (size_t)got;
    }
    if (got < 0)
        reject(EX_IOERR, "%s: %s", path, strerror(errno));
    if (size > FILE_BYTES)
        reject(EX_CONFIG, "%s: too large; a file of variables may have 1 MiB", path);
    close(file);
    parse(path, text + used - size, size);
}

static int by_name(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->name < b->name ? a->name : b->name);
    return order != 0 ? order : (a->name > b->name) - (a->name < b->name);
}

static char **merged(char **own) {
    qsort(entries, count, sizeof *entries, by_name);
    for (size_t i = 1; i < count; i++)
        if (by_name(&entries[i - 1], &entries[i]) == 0)
            reject(EX_CONFIG, "%s: %.*s is a duplicate, the other is in %s; set each name once", entries[i].file,
                   shown(entries[i].name), entries[i].text, entries[i - 1].file);
    size_t owned = 0, n = 0;
    while (own[owned] != NULL)
        owned++;
    char **all = calloc(owned + count + 1, sizeof *all); /* only pointers: no value is copied to the heap */
    if (all == NULL)
        reject(EX_OSERR, "environment: %s", strerror(errno));
    for (; *own != NULL; own++) {
        struct entry key = {.text = *own, .name = strcspn(*own, "=")};
        struct entry *same = bsearch(&key, entries, count, sizeof *entries, by_name);
        if (same != NULL)
            same->shadowed = !overridden(same->text, same->name);
        if (same == NULL || same->shadowed)
            all[n++] = *own;
    }
    for (size_t i = 0; i < count; i++)
        if (!entries[i].shadowed)
            all[n++] = entries[i].text;
    return all;
}

static void set_overrides(const char *names) {
    for (const char *at = names;; at++) {
        size_t n = name_length(at);
        if (n == 0 || (at[n] != ',' && at[n] != '\0') || *overrides != '\0')
            reject(EX_USAGE, "--override %s: not a list of names, or given twice; write --override NAME,NAME", names);
        at += n;
        if (*at == '\0')
            break;
    }
    overrides = names;
}

/* Returns the index of the command in argv. */
static int read_options(int argc, char **argv) {
    int i = 1, files = 0;
    for (; i < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--file") == 0)
            files++;
        else if (i + 1 < argc && strcmp(argv[i], "--override") == 0)
            set_overrides(argv[i + 1]);
        else
            reject(EX_USAGE, "%s: unknown option, or its value is missing; see --help", argv[i]);
    }
    if (files < 1 || files > FILES)
        reject(EX_USAGE, "%d times --file; specify 1 to %d files", files, FILES);
    if (i + 1 >= argc)
        reject(EX_USAGE, "no command; write -- COMMAND after the options");
    return i + 1;
}

/* Reads at most size - 1 bytes of a file and terminates them with a NUL; returns false if that is impossible. */
static bool read_text(const char *path, char *into, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got = file < 0 ? -1 : read(file, into, size - 1);
    if (file >= 0)
        close(file);
    into[got < 0 ? 0 : got] = '\0';
    return got >= 0;
}

/* Seconds after the start of the machine at which this container started: the start of its oldest process. In a pod that shares
   its process namespace, /proc has the processes of all containers; those of this one are in the same cgroup (proc(5)). */
static unsigned long long container_start(unsigned long long now) {
    char own[PATH_MAX], path[64], other[PATH_MAX], *field;
    unsigned long long oldest = now, ticks = (unsigned long long)sysconf(_SC_CLK_TCK);
    DIR *processes = opendir("/proc");
    if (processes == NULL || !read_text("/proc/self/cgroup", own, sizeof own))
        return now;
    for (struct dirent *at; (at = readdir(processes)) != NULL;) {
        unsigned long process = strtoul(at->d_name, NULL, 10);
        if (process == 0)
            continue;
        snprintf(path, sizeof path, "/proc/%lu/cgroup", process);
        if (!read_text(path, other, sizeof other) || strcmp(own, other) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/%lu/stat", process);
        if (!read_text(path, other, sizeof other) || (field = strrchr(other, ')')) == NULL)
            continue; /* the process has ended */
        for (int number = 2; number < 22 && field != NULL; number++)
            field = strchr(field + 1, ' ');
        if (field != NULL && strtoull(field, NULL, 10) / ticks < oldest)
            oldest = strtoull(field, NULL, 10) / ticks;
    }
    closedir(processes);
    return oldest;
}

/* A liveness probe. PATH has two numbers: the seconds after the start of the machine at which the container is to restart, and the
   shortest life of a container. No file, or any other content, never restarts anything: the sidecar may be missing. */
static int check_restart(int argc, char **argv) {
    char content[64], *end;
    struct timespec clock;
    if (argc > 3 && (argc < 5 || strcmp(argv[3], "--") != 0))
        reject(EX_USAGE, "%s: write -- and a command after the file, or nothing", argv[3]);
    if (read_text(argv[2], content, sizeof content) && clock_gettime(CLOCK_BOOTTIME, &clock) == 0 && isdigit((unsigned char)*content)) {
        unsigned long long now = (unsigned long long)clock.tv_sec, due = strtoull(content, &end, 10);
        unsigned long long life = strtoull(end, &end, 10), start = container_start(now);
        if (*end == '\n' && due <= now && start < due && now - start >= life)
            reject(EXIT_FAILURE, "the secrets have changed, so this container restarts (keeper.security/on-change)");
    }
    if (argc == 3)
        return EX_OK;
    execvp(argv[4], argv + 4);
    reject(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "%s: cannot be executed: %s", argv[4], strerror(errno));
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return write(STDOUT_FILENO, usage, sizeof usage - 1) < 0 ? EX_IOERR : EX_OK;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return write(STDOUT_FILENO, "keeper-exec " VERSION "\n", sizeof VERSION + 12) < 0 ? EX_IOERR : EX_OK;
    if (argc == 3 && strcmp(argv[1], "--ready") == 0) {
        if (access(argv[2], F_OK) < 0)
            reject(EXIT_FAILURE, "%s: not ready: %s", argv[2], strerror(errno));
        return EX_OK;
    }
    if (argc >= 3 && strcmp(argv[1], "--restart-due") == 0)
        return check_restart(argc, argv);
    int command = read_options(argc, argv);
    for (int i = 1; i < command - 1; i += 2)
        if (strcmp(argv[i], "--file") == 0)
            load(argv[i + 1]);
    execvpe(argv[command], argv + command, merged(environ)); /* uses the container's PATH, never a file's */
    if (errno == ENOENT || errno == ENOTDIR)
        reject(NOT_FOUND, "%s: not found, or its interpreter is missing; use a program of this image", argv[command]);
    reject(NOT_EXECUTABLE, "%s: cannot be executed: %s", argv[command], strerror(errno));
}
