/* keeper-exec: gives a command its environment from files in a memory volume, then becomes that command.

   Secret values so reach an application as variables without ever being in a pod's specification, in an argument or in
   another process. A file is a sequence of NAME=value entries, each ended by one NUL byte, so that a value may hold
   anything else. Whatever is not exactly that is refused with one sentence, which never holds a value.

   Built by build.sh, linked statically: it runs in images that have neither shell nor libc.

   MIT, Keeper Injector authors. */
#define _GNU_SOURCE /* execvpe, explicit_bzero */
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
#include <unistd.h>

#ifndef VERSION
#define VERSION "unreleased"
#endif

enum {
    FILES = 8,
    FILE_BYTES = 1 << 20,
    ENTRY_BYTES = 128 << 10, /* Linux: MAX_ARG_STRLEN, the NUL included; one byte more and no exec succeeds */
    ENTRIES = 4096,
    NOT_EXECUTABLE = 126, /* this and the next as shells do: POSIX.1-2017 XCU 2.8.2 */
    NOT_FOUND = 127,
};

static const char usage[] =
    "usage: keeper-exec --file PATH [--file PATH ...] [--override NAME,NAME ...] -- COMMAND [ARG ...]\n"
    "       keeper-exec --ready PATH    succeed when PATH exists\n"
    "       keeper-exec --version | --help\n";

/* Names that steer a loader, a libc, a shell, a language's start-up or whom a program trusts, instead of the
   application: a record in Keeper, whoever may edit it, must not run code in a pod. Sources: glibc's unsecvars.h,
   sudo's env.c, the languages' manuals. What the agent writes was judged before, in Python, by the same table, where
   the sentence can name the record; this is for files that it did not write. A star ends a prefix. */
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
    char *text; /* into `text`: values are never copied */
    size_t name; /* length of the name */
    const char *file;
    bool shadowed; /* the container sets this variable itself */
};

/* Not on the heap: no allocation can fail or leave a copy behind, and pages that no file fills are never touched. */
static char text[FILES * FILE_BYTES + 1];
static size_t used;
static struct entry entries[ENTRIES];
static size_t count;
static const char *overrides = "";

__attribute__((format(printf, 2, 3))) _Noreturn static void refuse(int code, const char *format, ...) {
    char line[2 * PATH_MAX] = "keeper-exec: ";
    size_t prefix = strlen(line);
    va_list parts;
    va_start(parts, format);
    vsnprintf(line + prefix, sizeof line - prefix - 1, format, parts);
    va_end(parts);
    explicit_bzero(text, used);
    line[strlen(line)] = '\n'; /* the array's last byte is never written before, so it still ends in a NUL */
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

/* A damaged file may have a piece of a value where a name belongs: only well-formed names are ever printed. */
static struct entry checked(const char *path, char *at, size_t number) {
    size_t name = name_length(at);
    if (strchr(at, '=') == NULL)
        refuse(EX_CONFIG, "%s: entry %zu has no '='; write NAME=value and a NUL byte", path, number);
    if (at[0] == '=')
        refuse(EX_CONFIG, "%s: entry %zu has an empty name; write NAME=value and a NUL byte", path, number);
    if (at[name] != '=')
        refuse(EX_CONFIG, "%s: entry %zu has a bad name; write letters, digits and _, no digit first", path, number);
    if (strlen(at) + 1 > ENTRY_BYTES)
        refuse(EX_CONFIG, "%s: %.*s is too long; name and value have at most 128 KiB", path, shown(name), at);
    if (listed(never, at, name))
        refuse(EX_CONFIG, "%s: %.*s steers the loader of programs; no secret may set it", path, shown(name), at);
    if (listed(guarded, at, name) && !overridden(at, name))
        refuse(EX_CONFIG, "%s: %.*s steers more than the application; name it in --override if that is meant", path,
               shown(name), at);
    return (struct entry){.text = at, .name = name, .file = path};
}

static void parse(const char *path, char *start, size_t size) {
    if (size > 0 && start[size - 1] != '\0')
        refuse(EX_CONFIG, "%s: ends within an entry; the file is cut short, every entry ends with a NUL byte", path);
    size_t number = 0;
    for (char *at = start; at < start + size; at += strlen(at) + 1) {
        if (count == ENTRIES)
            refuse(EX_CONFIG, "%s: too many entries; all files together have at most %d", path, ENTRIES);
        entries[count++] = checked(path, at, ++number);
    }
}

/* O_NONBLOCK: opening a FIFO must not wait. Symlinks are followed: files of a volume appear through `..data`. */
static void load(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR))
        refuse(EX_UNAVAILABLE, "%s: no such file; the injector's init container writes it: see its log", path);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0)
        refuse(errno == EACCES ? EX_NOPERM : EX_IOERR, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        refuse(EX_CONFIG, "%s: not a regular file; name a file of variables", path);
    if (status.st_mode & S_IWOTH)
        refuse(EX_CONFIG, "%s: anyone may write it (mode %04o); take the write permission of others away", path,
               (unsigned)status.st_mode & 07777);
    size_t size = 0;
    ssize_t got;
    while ((got = read(file, text + used, FILE_BYTES + 1 - size)) > 0) {
        used += (size_t)got;
        size += (size_t)got;
    }
    if (got < 0)
        refuse(EX_IOERR, "%s: %s", path, strerror(errno));
    if (size > FILE_BYTES)
        refuse(EX_CONFIG, "%s: too large; a file of variables has at most 1 MiB", path);
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
            refuse(EX_CONFIG, "%s: %.*s is a duplicate, the other is in %s; write each name once", entries[i].file,
                   shown(entries[i].name), entries[i].text, entries[i - 1].file);
    size_t owned = 0, n = 0;
    while (own[owned] != NULL)
        owned++;
    char **all = calloc(owned + count + 1, sizeof *all); /* pointers only: no value is on the heap */
    if (all == NULL)
        refuse(EX_OSERR, "environment: %s", strerror(errno));
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
            refuse(EX_USAGE, "--override %s: not a list of names, or a second one; write --override NAME,NAME", names);
        at += n;
        if (*at == '\0')
            break;
    }
    overrides = names;
}

/* Returns where the command is in argv. */
static int read_options(int argc, char **argv) {
    int i = 1, files = 0;
    for (; i < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--file") == 0)
            files++;
        else if (i + 1 < argc && strcmp(argv[i], "--override") == 0)
            set_overrides(argv[i + 1]);
        else
            refuse(EX_USAGE, "%s: unknown, or its value is missing; see --help", argv[i]);
    }
    if (files < 1 || files > FILES)
        refuse(EX_USAGE, "%d times --file; 1 to %d are right", files, FILES);
    if (i + 1 >= argc)
        refuse(EX_USAGE, "no command; write -- COMMAND after the options");
    return i + 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return write(STDOUT_FILENO, usage, sizeof usage - 1) < 0 ? EX_IOERR : EX_OK;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return write(STDOUT_FILENO, "keeper-exec " VERSION "\n", sizeof VERSION + 12) < 0 ? EX_IOERR : EX_OK;
    if (argc == 3 && strcmp(argv[1], "--ready") == 0) {
        if (access(argv[2], F_OK) < 0)
            refuse(EXIT_FAILURE, "%s: not ready: %s", argv[2], strerror(errno));
        return EX_OK;
    }
    int command = read_options(argc, argv);
    for (int i = 1; i < command - 1; i += 2)
        if (strcmp(argv[i], "--file") == 0)
            load(argv[i + 1]);
    execvpe(argv[command], argv + command, merged(environ)); /* PATH is the container's own, never a file's */
    if (errno == ENOENT || errno == ENOTDIR)
        refuse(NOT_FOUND, "%s: not found, or its interpreter is not; name a program of this image", argv[command]);
    refuse(NOT_EXECUTABLE, "%s: cannot be executed: %s", argv[command], strerror(errno));
}
