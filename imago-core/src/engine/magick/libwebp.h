/* What `libwebp.rs` calls. Its declarations there must say the same. */

#include <stddef.h>

struct imago_webp_header {
  unsigned width, height;
  int has_alpha, is_animated;
};

/* Reads the header. 0 on any error. */
int imago_webp_header(const unsigned char *bytes, size_t length, struct imago_webp_header *header);
/* Decodes a whole picture in RGB or, with four channels, in RGB and alpha. 0 on any error. */
int imago_webp_decode(const unsigned char *bytes, size_t length, unsigned channels, unsigned char *rows, size_t stride,
                      size_t size);

/* How many of the encoder's settings are whole numbers. `libwebp.rs` names them in the order in which `libwebp.c` has them. */
enum { IMAGO_WEBP_NUMBERS = 23 };

struct imago_webp_settings {
  unsigned width, height;
  /* 3: RGB, 4: RGB and alpha. */
  unsigned channels;
  /* Negative where nobody set it. */
  int quality;
  float target_psnr;
  /* `INT_MIN` is for the encoder's default. */
  int numbers[IMAGO_WEBP_NUMBERS];
};

/* Whether to go on. */
typedef int (*imago_webp_go_on)(const void *stop);

/* Encodes rows into a file, which is the caller's to free. 0 on any error. */
int imago_webp_encode(const struct imago_webp_settings *settings, const unsigned char *rows, size_t stride,
                      imago_webp_go_on go_on, const void *stop, unsigned char **bytes, size_t *length);
void imago_webp_free(unsigned char *bytes);
