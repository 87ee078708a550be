/* What `libjpeg.rs` calls. Its declarations there must say the same. */

#include <stddef.h>

enum { IMAGO_JPEG_OTHER, IMAGO_JPEG_GRAY, IMAGO_JPEG_RGB };

struct imago_jpeg_header {
  unsigned width, height;
  int precision, components, progressive, color;
  /* Whether it is YCbCr, sampled so that `start_planes` can be called. */
  int planes;
};

/* What a band has of Y, and of Cb and Cr each, and how many samples of Y there are to one of those. */
struct imago_jpeg_planes {
  unsigned luma_stride, luma_rows, chroma_stride, chroma_rows, across, down;
};

struct imago_jpeg_settings {
  unsigned width, height;
  /* 1: gray, 3: RGB. */
  int components;
  int progressive, fast_dct;
  unsigned restart_interval;
  /* Of each component: samples across and down, and the number of its quantization table. */
  unsigned char sampling[3][2];
  unsigned char table[3];
  /* In natural order; those that begin with a zero are not used. */
  unsigned tables[4][64];
};

struct imago_jpeg_reader;
struct imago_jpeg_writer;

/* Whether to go on. */
typedef int (*imago_jpeg_go_on)(const void *stop);

/* Reads the header. The bytes and `stop` must outlive the reader. Null on any error. */
struct imago_jpeg_reader *imago_jpeg_open(const unsigned char *bytes, size_t length, imago_jpeg_go_on go_on,
                                          const void *stop, struct imago_jpeg_header *header);
/* Starts to decode at `scale` eighths of the size. 0 on error, after which only `close` may be called. */
int imago_jpeg_start(struct imago_jpeg_reader *reader, unsigned scale, unsigned *width, unsigned *height);
/* Decodes the next rows; gives how many, which is fewer than asked for at the end and on error. */
size_t imago_jpeg_read(struct imago_jpeg_reader *reader, unsigned char *rows, size_t stride, size_t count);
/* The same for planes. */
int imago_jpeg_start_planes(struct imago_jpeg_reader *reader, unsigned scale, unsigned *width, unsigned *height,
                            struct imago_jpeg_planes *planes);
/* Decodes the next band: rows of Y, then of Cb, then of Cr. 0 on error. */
int imago_jpeg_read_band(struct imago_jpeg_reader *reader, unsigned char *band);
/* Whether all was well so far. To be called once, when nothing more is read. */
int imago_jpeg_is_sound(struct imago_jpeg_reader *reader);
void imago_jpeg_close(struct imago_jpeg_reader *reader);

/* Starts a file without any application's segments. Null on error. After one in a later call only `discard` may be called. */
struct imago_jpeg_writer *imago_jpeg_create(const struct imago_jpeg_settings *settings);
int imago_jpeg_write(struct imago_jpeg_writer *writer, const unsigned char *rows, size_t stride, size_t count);
/* The bytes stay the writer's. */
int imago_jpeg_finish(struct imago_jpeg_writer *writer, const unsigned char **bytes, size_t *length);
void imago_jpeg_discard(struct imago_jpeg_writer *writer);
