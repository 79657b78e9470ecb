/*
 * Starts the hub from one executable file: unpacks the interpreter and the packages that are
 * appended to this program into a cache folder, once per version, and replaces itself with the
 * interpreter.
 *
 * The file consists of this program, an index, a compressed tar archive and a trailer of
 * TRAILER_BYTES, which scripts/binary/bundle.py writes. The index has one line per file, "SIZE MODE
 * PATH"; each start compares it with the folder, because programs that clean temporary folders
 * remove single files, and a power failure may leave empty ones.
 *
 * Another user must not be able to replace the code: the folder belongs to this user, only this user
 * may write to it, and all folders above it belong to this user or to root. If a folder does not
 * qualify, the next one of the list in `find_folder` is tried.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#define NAME "hextrackr-server"
#define VARIABLE "HEXTRACKR_UNPACK_DIR"
#define MAGIC "HEXTRACKR-BUNDLE"
/* MAGIC, a space, the sizes of index and archive in 12 digits each, the name of the folder in 64
 * characters padded with spaces, each followed by a space, and a line feed at the end. */
#define TRAILER_BYTES 108
#define NAME_BYTES 64
#define BLOCK 512
#define EXIT_FAILURE_OF_LAUNCHER 1

static char reasons[16384];
/* The folder that is being written, which `fail` removes. */
static char unfinished[PATH_MAX + 16];

static void remove_folder(int parent, const char *name);

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs(NAME ": ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    if (*unfinished) remove_folder(AT_FDCWD, unfinished);
    exit(EXIT_FAILURE_OF_LAUNCHER);
}

/* Remember why a folder is not used, for the message if none can be used. Returns 0. */
static int refuse(const char *folder, const char *reason) {
    size_t used = strlen(reasons);
    snprintf(reasons + used, sizeof reasons - used, "\n  %.512s: %s", folder, reason);
    return 0;
}

static void read_all(int file, void *target, size_t size, off_t offset) {
    char *at = target;
    while (size > 0) {
        ssize_t count = pread(file, at, size, offset);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) fail("the executable cannot be read: %s", count ? strerror(errno) : "it is incomplete");
        at += count, offset += count, size -= (size_t)count;
    }
}

struct bundle {
    int file;
    char *index;
    off_t archive, archive_size;
    char name[NAME_BYTES + 1];
};

/* Read the trailer and the index of this executable. */
static struct bundle open_bundle(void) {
    struct bundle bundle = {.file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
    struct stat status;
    if (bundle.file < 0 || fstat(bundle.file, &status)) fail("/proc/self/exe: %s", strerror(errno));
    char trailer[TRAILER_BYTES + 1] = "", digits[13] = "";
    if (status.st_size < TRAILER_BYTES) fail("the file is incomplete: get it again");
    off_t end = status.st_size - TRAILER_BYTES;
    read_all(bundle.file, trailer, TRAILER_BYTES, end);
    const char *at = trailer;
    if (strncmp(at, MAGIC " ", sizeof MAGIC)) fail("the file is incomplete: get it again");
    at += sizeof MAGIC;
    long index_size = strtol(memcpy(digits, at, 12), NULL, 10);
    bundle.archive_size = strtol(memcpy(digits, at + 13, 12), NULL, 10);
    memcpy(bundle.name, at + 26, NAME_BYTES);
    bundle.name[strcspn(bundle.name, " ")] = 0;
    bundle.archive = end - bundle.archive_size;
    if (index_size <= 0 || bundle.archive_size <= 0 || bundle.archive < index_size || strchr(bundle.name, '/'))
        fail("the file is damaged: get it again");
    bundle.index = calloc(1, (size_t)index_size + 1);
    if (!bundle.index) fail("out of memory");
    read_all(bundle.file, bundle.index, (size_t)index_size, bundle.archive - index_size);
    return bundle;
}

/* Return whether this user or root owns a file. */
static int is_trusted(const struct stat *status) {
    return status->st_uid == 0 || status->st_uid == geteuid();
}

/* Return the interpreter that the folder contains if all files of the index are there, else NULL.
 * The index begins with the interpreter. */
static char *complete(const char *index, const char *folder) {
    struct stat status;
    int root = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) return NULL;
    if (fstat(root, &status) || !is_trusted(&status)) return close(root), NULL;
    char *program = NULL, path[PATH_MAX];
    for (const char *line = index; *line;) {
        long size;
        unsigned mode;
        int length = 0;
        if (sscanf(line, "%ld %o %n", &size, &mode, &length) != 2 || !length) fail("the index is damaged: get the file again");
        line += length;
        size_t count = strcspn(line, "\n");
        if (count >= sizeof path) fail("the index is damaged: get the file again");
        memcpy(path, line, count);
        path[count] = 0;
        line += count + (line[count] == '\n');
        if (fstatat(root, path, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode) || status.st_size != size) {
            free(program);
            close(root);
            return NULL;
        }
        if (!program && asprintf(&program, "%s/%s", folder, path) < 0) fail("out of memory");
    }
    close(root);
    return program;
}

/* Return whether only this user and root can change a folder and all folders above it. */
static int is_protected(char *folder) {
    for (char *end = folder + strlen(folder);;) {
        char kept = *end;
        struct stat status;
        *end = 0;
        int failed = lstat(*folder ? folder : "/", &status);
        *end = kept;
        if (failed || !S_ISDIR(status.st_mode)) return 0;
        if (!is_trusted(&status)) return 0;
        /* In a folder with the sticky bit, users can only remove their own files. */
        if ((status.st_mode & 022) && !(status.st_mode & S_ISVTX)) return 0;
        if (end == folder) return 1;
        do end--;
        while (end > folder && *end != '/');
    }
}

/* Create a folder and the ones above it. */
static int make_folders(const char *path) {
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return errno = ENAMETOOLONG, -1;
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        if (mkdir(copy, 0700) && errno != EEXIST && errno != EROFS) return -1;
        *at = '/';
    }
    return mkdir(copy, 0700) && errno != EEXIST ? -1 : 0;
}

/* Create the folder BASE/NAME+SUFFIX and return it in `target` if it is safe to run code from it. */
static int use(char *target, const char *base, const char *suffix) {
    char folder[PATH_MAX];
    struct stat status;
    struct statvfs system;
    if (!base || !*base) return 0;
    if (*base != '/') return refuse(base, "not an absolute path");
    if (snprintf(folder, sizeof folder, "%s/" NAME "%s", base, suffix) >= (int)sizeof folder)
        return refuse(base, "the path is too long");
    if (make_folders(folder)) return refuse(folder, strerror(errno));
    if (!realpath(folder, target)) return refuse(folder, strerror(errno));
    if (lstat(folder, &status) || !S_ISDIR(status.st_mode)) return refuse(folder, "not a folder");
    if (!is_trusted(&status)) return refuse(folder, "another user owns it");
    if (status.st_mode & 022) return refuse(folder, "other users may write to it");
    if (!is_protected(target)) return refuse(folder, "other users may write to a folder above it");
    if (statvfs(folder, &system) || (system.f_flag & ST_NOEXEC)) return refuse(folder, "mounted with noexec");
    return 1;
}

static const char *home(void) {
    const char *found = secure_getenv("HOME");
    if (found && *found == '/') return found;
    /* Not getpwuid: a static program cannot load the modules of the name service. */
    FILE *file = fopen("/etc/passwd", "re");
    for (struct passwd *entry; file && (entry = fgetpwent(file));)
        if (entry->pw_uid == geteuid()) return entry->pw_dir;
    return NULL;
}

struct inflater {
    z_stream stream;
    const struct bundle *bundle;
    off_t done;
    int ended;
    unsigned char input[1 << 16];
};

/* Inflate up to `size` bytes; return their number, which is smaller at the end of the archive only. */
static size_t inflate_some(struct inflater *from, unsigned char *target, size_t size) {
    from->stream.next_out = target;
    from->stream.avail_out = (unsigned)size;
    while (from->stream.avail_out > 0 && !from->ended) {
        if (from->stream.avail_in == 0) {
            off_t left = from->bundle->archive_size - from->done;
            size_t count = left < (off_t)sizeof from->input ? (size_t)left : sizeof from->input;
            if (!count) fail("the archive is incomplete: get the file again");
            read_all(from->bundle->file, from->input, count, from->bundle->archive + from->done);
            from->done += (off_t)count;
            from->stream.next_in = from->input;
            from->stream.avail_in = (unsigned)count;
        }
        int code = inflate(&from->stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END) from->ended = 1;
        else if (code != Z_OK) fail("the archive is damaged: get the file again");
    }
    return size - from->stream.avail_out;
}

static void inflate_bytes(struct inflater *from, unsigned char *target, size_t size) {
    if (inflate_some(from, target, size) != size) fail("the archive is incomplete: get the file again");
}

/* Write one file of the archive. Returns -1 if the file system refuses it. */
static int write_file(struct inflater *from, int root, const char *path, long size, unsigned mode) {
    static unsigned char buffer[1 << 18];
    int file = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0) return -1;
    size_t left = (size_t)size, padding = (BLOCK - left % BLOCK) % BLOCK;
    while (left > 0) {
        size_t count = left < sizeof buffer ? left : sizeof buffer;
        inflate_bytes(from, buffer, count);
        for (size_t at = 0; at < count;) {
            ssize_t written = write(file, buffer + at, count - at);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return close(file), -1;
            at += (size_t)written;
        }
        left -= count;
    }
    if (padding) inflate_bytes(from, buffer, padding);
    return close(file);
}

/* Write all files of the archive into a folder. Returns -1 if the file system refuses one. The
 * archive is a tar of the format ustar with folders and files only. */
static int unpack(const struct bundle *bundle, int root) {
    struct inflater *from = calloc(1, sizeof *from);
    if (!from) fail("out of memory");
    from->bundle = bundle;
    /* 16: with the header of gzip, whose checksum inflate compares. */
    if (inflateInit2(&from->stream, 16 + MAX_WBITS) != Z_OK) fail("out of memory");
    char header[BLOCK], path[257];
    int result = 0;
    for (;;) {
        inflate_bytes(from, (unsigned char *)header, BLOCK);
        if (!*header) break;
        /* Offsets of ustar: name 0, mode 100, size 124, type 156, prefix 345. */
        snprintf(path, sizeof path, "%.155s%s%.100s", header + 345, header[345] ? "/" : "", header);
        unsigned mode = (unsigned)strtoul(header + 100, NULL, 8) & 0755;
        long size = strtol(header + 124, NULL, 8);
        if (*path == '/' || strstr(path, "..")) fail("the archive is damaged: get the file again");
        if (header[156] == '5') {
            path[strlen(path) - (path[strlen(path) - 1] == '/')] = 0;
            if ((result = mkdirat(root, path, 0700))) break;
        } else if ((result = write_file(from, root, path, size, mode))) {
            break;
        }
    }
    /* The checksum follows the last block. */
    while (!result && inflate_some(from, (unsigned char *)header, BLOCK) == BLOCK) continue;
    int error = errno;
    inflateEnd(&from->stream);
    free(from);
    errno = error;
    return result;
}

/* Remove a folder with its contents. */
static void remove_folder(int parent, const char *name) {
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = folder < 0 ? NULL : fdopendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (unlinkat(folder, entry->d_name, 0) && (errno == EISDIR || errno == EPERM)) remove_folder(folder, entry->d_name);
    }
    if (entries) closedir(entries);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* Return the interpreter of the complete folder below `cache`, which is unpacked if necessary; NULL if
 * the file system refuses it. */
static char *provide(const struct bundle *bundle, const char *cache) {
    char folder[PATH_MAX + NAME_BYTES + 2], old[PATH_MAX + 16], *fresh = unfinished;
    snprintf(folder, sizeof folder, "%s/%s", cache, bundle->name);
    char *program = complete(bundle->index, folder);
    if (program) return program;
    snprintf(fresh, sizeof unfinished, "%s/.new-XXXXXX", cache);
    snprintf(old, sizeof old, "%s/.old-XXXXXX", cache);
    if (!mkdtemp(fresh)) return *fresh = 0, refuse(cache, strerror(errno)), NULL;
    int root = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || unpack(bundle, root)) {
        refuse(cache, strerror(errno));
        remove_folder(AT_FDCWD, fresh);
        *fresh = 0;
        return NULL;
    }
    close(root);
    /* An incomplete folder is replaced. Another start may have completed it in the meantime: both
     * have the same files. */
    if (rename(fresh, folder)) {
        if (!(program = complete(bundle->index, folder)) && mkdtemp(old)) {
            if (!rename(folder, old)) remove_folder(AT_FDCWD, old);
            rmdir(old);
            if (rename(fresh, folder)) refuse(cache, strerror(errno));
        }
        if (program) remove_folder(AT_FDCWD, fresh);
    }
    *fresh = 0;
    return program ? program : complete(bundle->index, folder);
}

/* Return the interpreter in the first folder that can be used. */
static char *find_program(const struct bundle *bundle) {
    char user[32], first[PATH_MAX], caches[PATH_MAX], target[PATH_MAX];
    snprintf(user, sizeof user, "-%u", (unsigned)geteuid());
    char *program = NULL;
    const char *chosen = secure_getenv(VARIABLE), *service = secure_getenv("CACHE_DIRECTORY");
    if (chosen && *chosen) {
        if (use(target, chosen, "")) program = provide(bundle, target);
        return program;
    }
    /* systemd lists the folders of CacheDirectory= with colons between them. */
    snprintf(first, sizeof first, "%.*s", (int)strcspn(service ? service : "", ":"), service ? service : "");
    const char *base = home();
    *caches = 0;
    if (base && snprintf(caches, sizeof caches, "%s/.cache", base) >= (int)sizeof caches) *caches = 0;
    const struct { const char *base, *suffix; } candidates[] = {
        {first, ""}, {secure_getenv("XDG_CACHE_HOME"), ""}, {caches, ""}, {"/var/tmp", user},
        {secure_getenv("TMPDIR"), user}, {"/tmp", user}, {secure_getenv("XDG_RUNTIME_DIR"), ""}, {"/dev/shm", user},
    };
    for (size_t each = 0; !program && each < sizeof candidates / sizeof *candidates; each++)
        if (use(target, candidates[each].base, candidates[each].suffix)) program = provide(bundle, target);
    return program;
}

int main(int count, char **given) {
    struct bundle bundle = open_bundle();
    char *program = find_program(&bundle);
    if (!program)
        fail("no folder to unpack the program into. Set " VARIABLE " to a folder that only this user may write to:%s", reasons);
    /* The hub rejects variables that are not settings. */
    unsetenv(VARIABLE);
    char **arguments = calloc((size_t)count + 5, sizeof *arguments);
    if (!arguments) fail("out of memory");
    /* -I: neither variables such as PYTHONPATH nor the working folder change what is imported. */
    const char *fixed[] = {program, "-I", "-m", "hextrackr_binary", count ? given[0] : NAME};
    memcpy(arguments, fixed, sizeof fixed);
    for (int each = 1; each < count; each++) arguments[each + 4] = given[each];
    execv(program, arguments);
    fail("%s: %s", program, strerror(errno));
}
