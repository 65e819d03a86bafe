/* A stand-in for libk4a's device side, with a sensor that gives what FAKE_K4A says, one letter a capture:
 * b a BGRA and a depth image, d depth alone, c colour alone, t a timeout, x a failure; after the last, timeouts.
 * They are there at once; at a dot the queue is empty: who does not wait gets nothing, who waits gets what follows.
 * "~" is a sensor that gives a capture every 33 ms and keeps the last 15 for who reads late, as the true library does;
 * "~t" one that is silent from now on, "~x" one that is pulled out. "-" is no sensor, "!" one that does not start, "2"
 * two of which the second cannot be opened. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define W 1280
#define H 720
#define DW 640
#define DH 576
#define PERIOD_US 33333
#define QUEUE 15

typedef struct { float rotation[9], translation[3]; } extrinsics;
typedef struct {
  extrinsics e; int model; unsigned count; float v[15]; int width, height; float radius;
} camera;
typedef struct { camera depth, color; extrinsics between[4][4]; int depth_mode, color_resolution; } calibration;
typedef struct { int references, format, width, height, stride; uint64_t us; size_t size; uint8_t *data; } image;
typedef struct { image *color, *depth, *ir; } capture;

static int opened, alive;
static size_t given;
static int64_t started;
int fake_alive(void) { return alive; }
int fake_opened(void) { return opened; }

static const char *script(void) { const char *s = getenv("FAKE_K4A"); return s ? s : ""; }
static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}
static void wait_us(int64_t us) {
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
  if (us > 0) nanosleep(&t, NULL);
}
uint32_t k4a_device_get_installed_count(void) { return script()[0] == '-' ? 0 : script()[0] == '2' ? 2 : 1; }
int k4a_device_get_serialnum(void *d, char *text, size_t *size) {
  if (*size < 7) return 2;
  strcpy(text, "000123"); *size = 7;
  return 0;
}
int k4a_device_open(uint32_t i, void **d) { if (i || opened) return 1; opened = 1; given = 0; *d = &opened; return 0; }
void k4a_device_close(void *d) { opened = 0; }
int k4a_device_start_cameras(void *d, const int *c) { started = now_us(); return script()[0] == '!' ? 1 : 0; }
void k4a_device_stop_cameras(void *d) {}

static void lens(camera *c, int w, int h, float f) {
  memset(c, 0, sizeof *c);
  c->count = 14; c->width = w; c->height = h;
  c->v[0] = w / 2; c->v[1] = h / 2; c->v[2] = c->v[3] = f;
}
int k4a_device_get_calibration(void *d, int mode, int resolution, calibration *c) {
  memset(c, 0, sizeof *c);
  lens(&c->depth, DW, DH, 504); lens(&c->color, W, H, 612);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      for (int k = 0; k < 3; k++) c->between[i][j].rotation[4 * k] = 1;
  return 0;
}

int k4a_image_create(int format, int w, int h, int stride, image **out) {
  image *i = calloc(1, sizeof *i);
  alive++;
  i->references = 1; i->format = format; i->width = w; i->height = h; i->stride = stride;
  i->size = (size_t)stride * h; i->data = calloc(1, i->size);
  *out = i;
  return 0;
}
void k4a_image_release(image *i) { if (i && --i->references == 0) { free(i->data); free(i); alive--; } }
uint8_t *k4a_image_get_buffer(image *i) { return i->data; }
size_t k4a_image_get_size(image *i) { return i->size; }
int k4a_image_get_format(image *i) { return i->format; }
int k4a_image_get_width_pixels(image *i) { return i->width; }
int k4a_image_get_height_pixels(image *i) { return i->height; }
int k4a_image_get_stride_bytes(image *i) { return i->stride; }
uint64_t k4a_image_get_device_timestamp_usec(image *i) { return i->us; }

int k4a_capture_create(capture **c) { *c = calloc(1, sizeof **c); alive++; return 0; }
void k4a_capture_release(capture *c) {
  k4a_image_release(c->color); k4a_image_release(c->depth); k4a_image_release(c->ir);
  free(c); alive--;
}
static image *taken(image *i) { if (i) i->references++; return i; }
image *k4a_capture_get_color_image(capture *c) { return taken(c->color); }
image *k4a_capture_get_depth_image(capture *c) { return taken(c->depth); }
image *k4a_capture_get_ir_image(capture *c) { return taken(c->ir); }
void k4a_capture_set_color_image(capture *c, image *i) { c->color = taken(i); }
void k4a_capture_set_depth_image(capture *c, image *i) { c->depth = taken(i); }
void k4a_capture_set_ir_image(capture *c, image *i) { c->ir = taken(i); }

/* What there is next of a sensor that runs by the clock; 0 for nothing. */
static char timed(int32_t timeout_ms) {
  if (script()[1] == 'x') return 'x';
  int64_t next = started + (int64_t)(given + 1) * PERIOD_US, left = next - now_us();
  if (script()[1] == 't' || left > timeout_ms * 1000LL) { wait_us(timeout_ms * 1000LL); return 't'; }
  wait_us(left);
  size_t newest = (now_us() - started) / PERIOD_US;
  if (newest > given + QUEUE) given = newest - QUEUE;
  return 'b';
}
static char scripted(int32_t timeout_ms) {
  while (timeout_ms && given < strlen(script()) && script()[given] == '.') given++;
  char what = given < strlen(script()) ? script()[given] : 't';
  if ((what == 't' || what == '.') && given < strlen(script())) given++;
  return what == '.' ? 't' : what;
}
int k4a_device_get_capture(void *d, capture **out, int32_t timeout_ms) {
  char what = script()[0] == '~' ? timed(timeout_ms) : scripted(timeout_ms);
  if (what == 't') return 2;
  if (what == 'x') return 1;
  given++;
  uint64_t us = 5000000 + PERIOD_US * given;
  k4a_capture_create(out);
  if (what != 'd') {
    k4a_image_create(3, W, H, 4 * W, &(*out)->color);
    memset((*out)->color->data, 40, (*out)->color->size);
    (*out)->color->us = us;
  }
  if (what != 'c') {
    k4a_image_create(4, DW, DH, 2 * DW, &(*out)->depth);
    for (int i = 0; i < DW * DH; i++) ((uint16_t *)(*out)->depth->data)[i] = 2000;
    (*out)->depth->us = us;
  }
  return 0;
}
