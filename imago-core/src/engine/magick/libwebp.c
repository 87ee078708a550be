/* WebP, with the libwebp that ImageMagick itself is linked with.
 *
 * It is C because libwebp's structures are not the same in all of its versions, and its headers know which one is there. */

#include <limits.h>
#include <stddef.h>

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/types.h>

#include "libwebp.h"

#if WEBP_ENCODER_ABI_VERSION < 0x020e
#error "libwebp is too old: it takes version 0.6.1 at least"
#endif

int imago_webp_header(const unsigned char *bytes, size_t length, struct imago_webp_header *header) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, length, &features) != VP8_STATUS_OK)
    return 0;
  header->width = (unsigned)features.width;
  header->height = (unsigned)features.height;
  header->has_alpha = features.has_alpha;
  header->is_animated = features.has_animation;
  return 1;
}

int imago_webp_decode(const unsigned char *bytes, size_t length, unsigned channels, unsigned char *rows, size_t stride,
                      size_t size) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config) || stride > INT_MAX)
    return 0;
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = rows;
  config.output.u.RGBA.stride = (int)stride;
  config.output.u.RGBA.size = size;
  int decoded = WebPDecode(bytes, length, &config) == VP8_STATUS_OK;
  WebPFreeDecBuffer(&config.output);
  return decoded;
}

/* Where the numbers of the settings go. */
static const size_t places[] = {
    offsetof(WebPConfig, lossless),          offsetof(WebPConfig, image_hint),
    offsetof(WebPConfig, autofilter),        offsetof(WebPConfig, alpha_compression),
    offsetof(WebPConfig, alpha_filtering),   offsetof(WebPConfig, alpha_quality),
    offsetof(WebPConfig, filter_strength),   offsetof(WebPConfig, filter_sharpness),
    offsetof(WebPConfig, filter_type),       offsetof(WebPConfig, method),
    offsetof(WebPConfig, partitions),        offsetof(WebPConfig, partition_limit),
    offsetof(WebPConfig, pass),              offsetof(WebPConfig, preprocessing),
    offsetof(WebPConfig, segments),          offsetof(WebPConfig, show_compressed),
    offsetof(WebPConfig, sns_strength),      offsetof(WebPConfig, target_size),
    offsetof(WebPConfig, emulate_jpeg_size), offsetof(WebPConfig, low_memory),
    offsetof(WebPConfig, thread_level),      offsetof(WebPConfig, exact),
    offsetof(WebPConfig, use_sharp_yuv),
};
_Static_assert(sizeof(places) / sizeof(*places) == IMAGO_WEBP_NUMBERS, "each number has a place");

static int configure(WebPConfig *config, const struct imago_webp_settings *settings) {
  if (!WebPConfigInit(config))
    return 0;
  if (settings->quality >= 0) {
    config->quality = (float)settings->quality;
    config->near_lossless = settings->quality;
    config->lossless = settings->quality >= 100;
  }
  config->target_PSNR = settings->target_psnr;
  for (int index = 0; index < IMAGO_WEBP_NUMBERS; index++)
    if (settings->numbers[index] != INT_MIN)
      *(int *)((char *)config + places[index]) = settings->numbers[index];
  /* To meet a target takes tries. ImageMagick allows as many. */
  if ((config->target_size > 0 || config->target_PSNR > 0) && config->pass == 1)
    config->pass = 6;
  return WebPValidateConfig(config);
}

struct progress {
  imago_webp_go_on go_on;
  const void *stop;
};

static int look_up(int percent, const WebPPicture *picture) {
  const struct progress *progress = picture->user_data;
  (void)percent;
  return progress->go_on(progress->stop);
}

int imago_webp_encode(const struct imago_webp_settings *settings, const unsigned char *rows, size_t stride,
                      imago_webp_go_on go_on, const void *stop, unsigned char **bytes, size_t *length) {
  WebPConfig config;
  WebPPicture picture;
  WebPMemoryWriter writer;
  struct progress progress = {go_on, stop};
  if (!configure(&config, settings) || stride > INT_MAX || !WebPPictureInit(&picture))
    return 0;
  WebPMemoryWriterInit(&writer);
  picture.width = (int)settings->width;
  picture.height = (int)settings->height;
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  picture.progress_hook = look_up;
  picture.user_data = &progress;
  /* The plain way to YUV is the same here as in the encoder, and saves a copy. */
  picture.use_argb = config.lossless || config.use_sharp_yuv || config.preprocessing;
  int encoded = (settings->channels == 4 ? WebPPictureImportRGBA(&picture, rows, (int)stride)
                                         : WebPPictureImportRGB(&picture, rows, (int)stride)) &&
                WebPEncode(&config, &picture);
  WebPPictureFree(&picture);
  if (!encoded) {
    WebPMemoryWriterClear(&writer);
    return 0;
  }
  *bytes = writer.mem;
  *length = writer.size;
  return 1;
}

void imago_webp_free(unsigned char *bytes) { WebPFree(bytes); }
