/* Fuzzes keeper-exec from its parser to the merged environment, with mutations guided by coverage and a fixed seed.

   Usage: fuzz_keeper_exec SEED SECONDS
   Build: gcc -fsanitize=address,undefined -fsanitize-coverage=trace-pc -I FOLDER_OF_KEEPER_EXEC_C fuzz_keeper_exec.c

   gcc has no libFuzzer; this file does what is needed of it. It prints one line of figures and exits with 0; if a
   promise is broken, it prints the input to stderr in hexadecimal and aborts. */
#define _GNU_SOURCE /* as in keeper-exec.c, which is included below */
#include <setjmp.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static jmp_buf rejected;
static char message[16384];

_Noreturn static void reject_input(int code) {
    longjmp(rejected, code);
}

static ssize_t capture(int file, const void *line, size_t length);

#define main keeper_exec_main
#define _exit reject_input
#define write(file, line, length) capture(file, line, length)
#include "keeper-exec.c"
#undef main
#undef _exit
#undef write

enum { LARGEST = 4096, CORPUS = 4096, EDGES = 1 << 16 };

static unsigned char seen[EDGES];
static int fresh;
static struct sample { char *bytes; size_t size; } corpus[CORPUS];
static size_t corpus_size;
static unsigned long long state;
static char input[LARGEST];
static size_t input_size;

/* The compiler's instrumentation calls this at every edge. */
__attribute__((no_sanitize("address", "undefined"), no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void) {
    static size_t previous;
    size_t here = (size_t)__builtin_return_address(0), edge = ((here >> 1) ^ previous) % EDGES;
    previous = here >> 2;
    fresh |= !seen[edge];
    seen[edge] = 1;
}

static ssize_t capture(int file, const void *line, size_t length) {
    (void)file;
    memcpy(message, line, length);
    message[length] = '\0';
    return (ssize_t)length;
}

static size_t below(size_t limit) { /* xorshift64*: a seed gives the same run on every machine */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 2685821657736338717ULL) >> 33) % limit;
}

static void promise(bool kept, const char *what) {
    if (kept)
        return;
    fprintf(stderr, "broken: %s\ninput: ", what);
    for (size_t i = 0; i < input_size; i++)
        fprintf(stderr, "%02x", (unsigned char)input[i]);
    fputc('\n', stderr);
    abort();
}

static void insert(const char *piece, size_t size) {
    size_t at = below(input_size + 1);
    if (size > LARGEST - input_size)
        return;
    memmove(input + at + size, input + at, input_size - at);
    memcpy(input + at, piece, size);
    input_size += size;
}

static void mutate(void) {
    static const char *const words[] = {"LD_PRELOAD=", "PATH=", "HOME=", "NODE_OPTIONS=", "OWN=", "A=", "_b1=",
                                        "MALLOC_X=", "\xff", "9", "=", "GLIBC_TUNABLES=", "AA", "LUA_INIT_5_4=",
                                        "CORECLR_", "\n"};
    size_t at = below(input_size + 1), length = below(input_size - at + 1);
    switch (below(7)) {
    case 0: insert("", 1); break;
    case 1: insert("N=v", 4); break;
    case 2: at = below(sizeof words / sizeof *words); insert(words[at], strlen(words[at])); break;
    case 3: if (at < input_size) input[at] = (char)below(256); break;
    case 4: if (at < input_size) input[at] = (char)(input[at] ^ (1 << below(8))); break;
    case 5: memmove(input + at, input + at + length, input_size - at - length); input_size -= length; break;
    default: { const struct sample *other = &corpus[below(corpus_size)]; insert(other->bytes, other->size); }
    }
}

static void keep(void) {
    if (corpus_size == CORPUS)
        return;
    char *bytes = malloc(input_size + 1);
    memcpy(bytes, input, input_size);
    corpus[corpus_size++] = (struct sample){bytes, input_size};
}

static void check(char **all, size_t owned) {
    size_t own = 0;
    for (size_t i = 0; all[i] != NULL; i++) {
        size_t name = name_length(all[i]);
        promise(name > 0 && all[i][name] == '=', "every entry is NAME=value");
        promise(all[i][0] < '0' || all[i][0] > '9', "no name begins with a digit");
        promise(strncmp(all[i], "LD_", 3) != 0, "no variable of the loader is set");
        promise(strncmp(all[i], "GLIBC_TUNABLES=", 15) != 0, "no tunable of the libc is set");
        promise(strncmp(all[i], "NODE_OPTIONS=", 13) != 0, "guarded names need --override");
        if (strncmp(all[i], "OWN=", 4) == 0)
            promise(strcmp(all[i], "OWN=mine") == 0, "variables of the container take precedence");
        own += all[i][0] == 'O' && strcmp(all[i], "OWN=mine") == 0;
        for (size_t j = 0; j < i; j++)
            promise(strncmp(all[i], all[j], name + 1) != 0, "no name occurs twice");
        owned += i >= 2;
    }
    promise(own == 1, "variables of the container stay");
    promise(owned <= count + 2, "nothing is added that is not in a file");
}

/* A buffer of exactly the size of the input, so that the sanitizer detects a read beyond its end. */
static bool run(void) {
    char *own[] = {"OWN=mine", "PATH=/bin", NULL};
    char *exact = malloc(input_size + 1), **volatile all = NULL;
    volatile bool accepted = false;
    exact[input_size] = '?';
    char *file = realloc(exact, input_size > 0 ? input_size : 1);
    memcpy(file, input, input_size);
    memset(entries, 0, count * sizeof *entries);
    count = 0;
    overrides = "PATH,LD_PRELOAD";
    int code = setjmp(rejected);
    if (code == 0) {
        parse("f", file, input_size);
        all = merged(own);
        accepted = true;
        check(all, 0);
    } else {
        promise(code == EX_CONFIG, "a bad file is a configuration error");
        promise(strlen(message) > 0 && message[strlen(message) - 1] == '\n', "a message ends with a newline");
        for (const char *at = message; *at != '\0'; at++)
            promise(*at == '\n' ? at[1] == '\0' : *at >= ' ' && *at <= '~', "a message is one printable line");
    }
    free(all);
    free(file);
    return accepted;
}

int main(int argc, char **argv) {
    static const char first[] = "A=1\0DB_PASSWORD=a=b\n\"c\"\0PATH=/x\0_z9=";
    if (argc != 3)
        return EX_USAGE;
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    time_t end = time(NULL) + strtol(argv[2], NULL, 10);
    unsigned long long runs = 0, accepted = 0;
    memcpy(input, first, input_size = sizeof first);
    keep();
    for (; time(NULL) < end; runs++) {
        const struct sample *from = &corpus[below(corpus_size)];
        memcpy(input, from->bytes, input_size = from->size);
        for (size_t n = 1 + below(5); n > 0; n--)
            mutate();
        fresh = 0;
        accepted += run();
        if (fresh)
            keep();
    }
    promise(accepted > 0 && accepted < runs, "some inputs are accepted and some are rejected");
    printf("runs=%llu accepted=%llu corpus=%zu\n", runs, accepted, corpus_size);
    return 0;
}
