/* JPEG, row by row, with the libjpeg that ImageMagick itself is linked with.
 *
 * It is C because libjpeg reports errors by a jump out of its own frames, which may not cross Rust's. Each function below
 * sets the place that is jumped to before it calls libjpeg, so no jump leaves this file. */

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "libjpeg.h"

struct failure {
  struct jpeg_error_mgr manager;
  jmp_buf exit;
  char message[JMSG_LENGTH_MAX];
};

static void fail(j_common_ptr info) {
  struct failure *failure = (struct failure *)info->err;
  info->err->format_message(info, failure->message);
  longjmp(failure->exit, 1);
}

/* Warnings are counted only: whoever gets one leaves the image to ImageMagick, which words it. */
static void count(j_common_ptr info, int level) {
  if (level < 0)
    info->err->num_warnings++;
}

static struct jpeg_error_mgr *set_up(struct failure *failure) {
  struct jpeg_error_mgr *manager = jpeg_std_error(&failure->manager);
  manager->error_exit = fail;
  manager->emit_message = count;
  return manager;
}

struct imago_jpeg_reader {
  struct jpeg_decompress_struct info;
  struct failure failure;
  struct jpeg_progress_mgr progress;
  imago_jpeg_go_on go_on;
  const void *stop;
};

static void look_up(j_common_ptr info) {
  struct imago_jpeg_reader *reader = (struct imago_jpeg_reader *)info;
  if (!reader->go_on(reader->stop)) {
    strcpy(reader->failure.message, "stopped");
    longjmp(reader->failure.exit, 1);
  }
}

static int has_planes(const struct jpeg_decompress_struct *info) {
  const jpeg_component_info *components = info->comp_info;
  /* Colours of narrower images are not interpolated. */
  return info->image_width >= 2 * DCTSIZE && info->jpeg_color_space == JCS_YCbCr && info->num_components == 3 && components[0].h_samp_factor <= 2 &&
         components[0].v_samp_factor <= components[0].h_samp_factor && components[1].h_samp_factor == 1 &&
         components[1].v_samp_factor == 1 && components[2].h_samp_factor == 1 && components[2].v_samp_factor == 1;
}

/* Apart from `open`, whose variables a jump could spoil. */
static int read_header(struct imago_jpeg_reader *reader, const unsigned char *bytes, size_t length,
                       struct imago_jpeg_header *header) {
  reader->info.err = set_up(&reader->failure);
  if (setjmp(reader->failure.exit) != 0)
    return 0;
  jpeg_create_decompress(&reader->info);
  reader->progress.progress_monitor = look_up;
  reader->info.progress = &reader->progress;
  jpeg_mem_src(&reader->info, bytes, length);
  jpeg_read_header(&reader->info, TRUE);
  header->width = reader->info.image_width;
  header->height = reader->info.image_height;
  header->precision = reader->info.data_precision;
  header->components = reader->info.num_components;
  header->progressive = reader->info.progressive_mode;
  header->planes = has_planes(&reader->info);
  header->color = reader->info.out_color_space == JCS_RGB         ? IMAGO_JPEG_RGB
                  : reader->info.out_color_space == JCS_GRAYSCALE ? IMAGO_JPEG_GRAY
                                                                  : IMAGO_JPEG_OTHER;
  return 1;
}

struct imago_jpeg_reader *imago_jpeg_open(const unsigned char *bytes, size_t length, imago_jpeg_go_on go_on,
                                          const void *stop, struct imago_jpeg_header *header) {
  struct imago_jpeg_reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL)
    return NULL;
  reader->go_on = go_on;
  reader->stop = stop;
  if (read_header(reader, bytes, length, header))
    return reader;
  imago_jpeg_close(reader);
  return NULL;
}

int imago_jpeg_start(struct imago_jpeg_reader *reader, unsigned scale, unsigned *width, unsigned *height) {
  if (setjmp(reader->failure.exit) != 0)
    return 0;
  reader->info.scale_num = scale;
  reader->info.scale_denom = 8;
  jpeg_start_decompress(&reader->info);
  *width = reader->info.output_width;
  *height = reader->info.output_height;
  return 1;
}

size_t imago_jpeg_read(struct imago_jpeg_reader *reader, unsigned char *rows, size_t stride, size_t count) {
  volatile size_t done = 0;
  if (setjmp(reader->failure.exit) != 0)
    return done;
  while (done < count && reader->info.output_scanline < reader->info.output_height) {
    JSAMPROW list[16];
    size_t wanted = count - done < 16 ? count - done : 16;
    for (size_t index = 0; index < wanted; index++)
      list[index] = rows + (done + index) * stride;
    size_t got = jpeg_read_scanlines(&reader->info, list, (JDIMENSION)wanted);
    if (got == 0)
      break;
    done += got;
  }
  return done;
}

static unsigned stride(const jpeg_component_info *component) {
  return component->width_in_blocks * component->DCT_scaled_size;
}

static unsigned rows(const jpeg_component_info *component) {
  return (unsigned)(component->v_samp_factor * component->DCT_scaled_size);
}

int imago_jpeg_start_planes(struct imago_jpeg_reader *reader, unsigned scale, unsigned *width, unsigned *height,
                            struct imago_jpeg_planes *planes) {
  reader->info.raw_data_out = TRUE;
  if (!imago_jpeg_start(reader, scale, width, height))
    return 0;
  const jpeg_component_info *luma = &reader->info.comp_info[0], *chroma = &reader->info.comp_info[1];
  planes->luma_stride = stride(luma);
  planes->luma_rows = rows(luma);
  planes->chroma_stride = stride(chroma);
  planes->chroma_rows = rows(chroma);
  planes->across = (unsigned)(luma->h_samp_factor * luma->DCT_scaled_size / chroma->DCT_scaled_size);
  planes->down = rows(luma) / rows(chroma);
  return 1;
}

int imago_jpeg_read_band(struct imago_jpeg_reader *reader, unsigned char *band) {
  JSAMPROW list[3][2 * DCTSIZE];
  JSAMPARRAY planes[3];
  for (int index = 0; index < 3; index++) {
    const jpeg_component_info *component = &reader->info.comp_info[index];
    for (unsigned row = 0; row < rows(component); row++, band += stride(component))
      list[index][row] = band;
    planes[index] = list[index];
  }
  if (setjmp(reader->failure.exit) != 0)
    return 0;
  return jpeg_read_raw_data(&reader->info, planes, 2 * DCTSIZE) > 0;
}

int imago_jpeg_is_sound(struct imago_jpeg_reader *reader) {
  if (setjmp(reader->failure.exit) != 0)
    return 0;
  /* Bands may end below the picture. */
  if (reader->info.output_scanline >= reader->info.output_height)
    jpeg_finish_decompress(&reader->info);
  return reader->failure.manager.num_warnings == 0;
}

void imago_jpeg_close(struct imago_jpeg_reader *reader) {
  jpeg_destroy_decompress(&reader->info);
  free(reader);
}

/* libjpeg's own destination in memory leaves a stale pointer behind when it fails. */
struct imago_jpeg_writer {
  struct jpeg_compress_struct info;
  struct failure failure;
  struct jpeg_destination_mgr destination;
  unsigned char *bytes;
  size_t room;
};

static void begin(j_compress_ptr info) {
  (void)info;
}

static boolean grow(j_compress_ptr info) {
  struct imago_jpeg_writer *writer = (struct imago_jpeg_writer *)info;
  size_t room = writer->room == 0 ? 1 << 16 : writer->room * 2;
  unsigned char *bytes = realloc(writer->bytes, room);
  if (bytes == NULL) {
    strcpy(writer->failure.message, "out of memory");
    longjmp(writer->failure.exit, 1);
  }
  /* It is called with the room used up. */
  writer->destination.next_output_byte = bytes + writer->room;
  writer->destination.free_in_buffer = room - writer->room;
  writer->bytes = bytes;
  writer->room = room;
  return TRUE;
}

static void end(j_compress_ptr info) {
  (void)info;
}

static int start(struct imago_jpeg_writer *writer, const struct imago_jpeg_settings *settings) {
  struct jpeg_compress_struct *info = &writer->info;
  info->err = set_up(&writer->failure);
  if (setjmp(writer->failure.exit) != 0)
    return 0;
  jpeg_create_compress(info);
  writer->destination.init_destination = begin;
  writer->destination.empty_output_buffer = grow;
  writer->destination.term_destination = end;
  info->dest = &writer->destination;
  grow(info);
  info->image_width = settings->width;
  info->image_height = settings->height;
  info->input_components = settings->components;
  info->in_color_space = settings->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(info);
  info->write_JFIF_header = FALSE;
  info->write_Adobe_marker = FALSE;
  info->optimize_coding = TRUE;
  info->restart_interval = settings->restart_interval;
  if (settings->progressive)
    jpeg_simple_progression(info);
  if (settings->fast_dct)
    info->dct_method = JDCT_IFAST;
  for (int index = 0; index < 4; index++)
    if (settings->tables[index][0] != 0)
      jpeg_add_quant_table(info, index, settings->tables[index], 100, FALSE);
  for (int index = 0; index < info->num_components; index++) {
    info->comp_info[index].h_samp_factor = settings->sampling[index][0];
    info->comp_info[index].v_samp_factor = settings->sampling[index][1];
    info->comp_info[index].quant_tbl_no = settings->table[index];
  }
  jpeg_start_compress(info, TRUE);
  return 1;
}

struct imago_jpeg_writer *imago_jpeg_create(const struct imago_jpeg_settings *settings) {
  struct imago_jpeg_writer *writer = calloc(1, sizeof *writer);
  if (writer == NULL)
    return NULL;
  if (start(writer, settings))
    return writer;
  imago_jpeg_discard(writer);
  return NULL;
}

int imago_jpeg_write(struct imago_jpeg_writer *writer, const unsigned char *rows, size_t stride, size_t count) {
  if (setjmp(writer->failure.exit) != 0)
    return 0;
  for (size_t done = 0; done < count;) {
    JSAMPROW list[16];
    size_t wanted = count - done < 16 ? count - done : 16;
    for (size_t index = 0; index < wanted; index++)
      list[index] = (JSAMPROW)(rows + (done + index) * stride);
    done += jpeg_write_scanlines(&writer->info, list, (JDIMENSION)wanted);
  }
  return 1;
}

int imago_jpeg_finish(struct imago_jpeg_writer *writer, const unsigned char **bytes, size_t *length) {
  if (setjmp(writer->failure.exit) != 0)
    return 0;
  jpeg_finish_compress(&writer->info);
  *bytes = writer->bytes;
  *length = writer->room - writer->destination.free_in_buffer;
  return 1;
}

void imago_jpeg_discard(struct imago_jpeg_writer *writer) {
  jpeg_destroy_compress(&writer->info);
  free(writer->bytes);
  free(writer);
}
