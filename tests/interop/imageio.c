/* SPDX-License-Identifier: MIT */
/*
 * imageio.c - does to an image, through the library, what a program on standard input says.
 *
 *   imageio [-r] IMAGE
 *
 * The language is that of qemu-io, as far as the tests use it, so that both can be given the same program; `resize` and
 * `die` are ours alone. -r opens read-only. After each line its number is printed, so that whoever kills this program
 * knows what had been answered by then. The first line that fails ends it, with exit code 1.
 *
 *   write [-f] -P BYTE OFFSET LENGTH   fill a range; -f: it is durable before the next line
 *   write [-f] -z OFFSET LENGTH        fill it with zeros
 *   read -P BYTE OFFSET LENGTH         must be that
 *   discard OFFSET LENGTH              trim
 *   flush
 *   resize SIZE
 *   die                                by SIGKILL, with nothing closed
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coremnt/image.h>

#define LINE_MAX_BYTES 256u
#define WORDS_MAX 8u
#define PIECE (1u << 20)

struct command {
    const char *name;
    int is_fua;
    int byte; /* -1: none was given */
    unsigned number_count;
    uint64_t numbers[2];
};

/* Its rows return 0 or a negative CM_E...; what reads otherwise than it must is CM_EDAMAGED. */
struct verb {
    const char *name;
    unsigned number_count;
    int needs_byte;
    int (*run)(struct cm_image *image, const struct command *command);
};

static unsigned char piece[PIECE];
static unsigned char filled[PIECE];

static uint32_t next_length(uint64_t left)
{
    return left < PIECE ? (uint32_t)left : PIECE;
}

static int do_write(struct cm_image *image, const struct command *command)
{
    uint64_t offset = command->numbers[0];
    uint64_t left = command->numbers[1];
    int error = 0;

    memset(piece, command->byte, sizeof(piece));
    while (left > 0 && error == 0) {
        uint32_t length = next_length(left);

        error = cm_image_write(image, piece, length, offset, command->is_fua ? CM_IMAGE_FUA : 0);
        offset += length;
        left -= length;
    }
    return error;
}

static int report_difference(uint64_t offset, uint32_t length)
{
    uint32_t i = 0;

    while (i + 1 < length && piece[i] == filled[i])
        i++;
    fprintf(stderr, "byte %llu is %u, not %u\n", (unsigned long long)(offset + i), piece[i],
            filled[i]);
    return CM_EDAMAGED;
}

static int do_read(struct cm_image *image, const struct command *command)
{
    uint64_t offset = command->numbers[0];
    uint64_t left = command->numbers[1];
    int error = 0;

    memset(filled, command->byte, sizeof(filled));
    while (left > 0 && error == 0) {
        uint32_t length = next_length(left);

        error = cm_image_read(image, piece, length, offset);
        if (error == 0 && memcmp(piece, filled, length) != 0)
            error = report_difference(offset, length);
        offset += length;
        left -= length;
    }
    return error;
}

static int do_discard(struct cm_image *image, const struct command *command)
{
    return cm_image_trim(image, command->numbers[0], command->numbers[1]);
}

static int do_flush(struct cm_image *image, const struct command *command)
{
    (void)command;
    return cm_image_flush(image);
}

static int do_resize(struct cm_image *image, const struct command *command)
{
    return cm_image_resize(image, command->numbers[0]);
}

static int do_die(struct cm_image *image, const struct command *command)
{
    (void)image;
    (void)command;
    return raise(SIGKILL);
}

static const struct verb verbs[] = {
    {"write", 2, 1, do_write}, {"read", 2, 1, do_read},     {"discard", 2, 0, do_discard},
    {"flush", 0, 0, do_flush}, {"resize", 1, 0, do_resize}, {"die", 0, 0, do_die},
};

/* @return 0, or -1: it is not of the language. Changes the line. */
static int parse(char *line, struct command *command)
{
    char *words[WORDS_MAX];
    unsigned count = 0;

    *command = (struct command){.byte = -1};
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        if (count == WORDS_MAX)
            return -1;
        words[count++] = word;
    }
    if (count == 0)
        return -1;
    command->name = words[0];
    for (unsigned i = 1; i < count; i++) {
        if (strcmp(words[i], "-f") == 0) {
            command->is_fua = 1;
        } else if (strcmp(words[i], "-z") == 0) {
            command->byte = 0;
        } else if (strcmp(words[i], "-P") == 0 && i + 1 < count) {
            command->byte = (int)strtol(words[++i], NULL, 0) & 0xff;
        } else if (command->number_count < 2 &&
                   cm_parse_size(words[i], &command->numbers[command->number_count]) == 0) {
            command->number_count++;
        } else {
            return -1;
        }
    }
    return 0;
}

static int run_line(struct cm_image *image, char *line, unsigned number)
{
    struct command command;
    int error;

    if (parse(line, &command) != 0) {
        fprintf(stderr, "line %u is not understood\n", number);
        return -1;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, command.name) != 0 ||
            verbs[i].number_count != command.number_count ||
            (verbs[i].needs_byte && command.byte < 0))
            continue;
        error = verbs[i].run(image, &command);
        if (error != 0)
            fprintf(stderr, "line %u (%s) failed: %s\n", number, command.name,
                    cm_error_name(error));
        return error;
    }
    fprintf(stderr, "line %u: there is no such %s\n", number, command.name);
    return -1;
}

static int run_program(struct cm_image *image)
{
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    int error = 0;

    while (error == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        error = run_line(image, line, ++number);
        if (error == 0) {
            printf("%u\n", number);
            fflush(stdout);
        }
    }
    return error;
}

int main(int argc, char **argv)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct cm_image *image;
    int error;
    int closed;

    if (argc == 3 && strcmp(argv[1], "-r") == 0)
        options.flags |= CM_OPEN_READ_ONLY;
    else if (argc != 2) {
        fprintf(stderr, "usage: imageio [-r] IMAGE\n");
        return 2;
    }
    if (cm_image_open(argv[argc - 1], &options, &image) != 0) {
        fprintf(stderr, "%s\n", cm_last_error());
        return 1;
    }
    error = run_program(image);
    closed = cm_image_close(image);
    if (closed != 0)
        fprintf(stderr, "%s could not be closed: %s\n", argv[argc - 1], cm_error_name(closed));
    return error != 0 || closed != 0;
}
