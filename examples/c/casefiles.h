/*
 * Case files are safetensors: eight bytes with the length of a JSON header, the header, the numbers.
 * The files that this reads are made by selscan, so it looks for what it needs in the header's text.
 */
#ifndef CASEFILES_H
#define CASEFILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_AXES 5

typedef struct {
  float *data; /* NULL when the file has no such tensor */
  int axes;
  long shape[MAX_AXES];
  long size;
} Tensor;

typedef struct {
  char *header;
  unsigned char *numbers;
} CaseFile;

static void die(const char *what, const char *name) {
  fprintf(stderr, "%s: %s\n", name, what);
  exit(1);
}

static void *allocate(size_t bytes) {
  void *memory = calloc(bytes + 1, 1); /* one more, so that nothing is something */
  if (!memory) die("out of memory", "allocate");
  return memory;
}

static CaseFile read_case(const char *path) {
  FILE *file = fopen(path, "rb");
  uint64_t length;
  if (!file || fread(&length, 8, 1, file) != 1) die("cannot be read", path);
  fseek(file, 0, SEEK_END);
  size_t rest = (size_t)ftell(file) - 8 - length;
  fseek(file, 8, SEEK_SET);
  CaseFile c = {allocate(length), allocate(rest)};
  if (fread(c.header, 1, length, file) != length || fread(c.numbers, 1, rest, file) != rest) {
    die("is too short", path);
  }
  fclose(file);
  return c;
}

static void free_case(CaseFile c) {
  free(c.header);
  free(c.numbers);
}

/* Whether the header's text has this in it, e.g. an attribute: {\"delta_softplus\":true. */
static int says(CaseFile c, const char *text) { return strstr(c.header, text) != NULL; }

/* A tensor of 32-bit floats by its name, to be freed by the caller. */
static Tensor input(CaseFile c, const char *name) {
  Tensor t = {0};
  char key[64];
  snprintf(key, sizeof key, "\"in.%s\":{\"dtype\":\"F32\",\"shape\":[", name);
  const char *at = strstr(c.header, key);
  if (!at) return t;
  at += strlen(key);
  for (t.size = 1; *at != ']'; at += *at == ',') {
    if (t.axes == MAX_AXES) die("too many axes", name);
    t.shape[t.axes] = strtol(at, (char **)&at, 10);
    t.size *= t.shape[t.axes++];
  }
  at = strchr(at + 1, '['); /* of data_offsets */
  t.data = allocate(t.size * sizeof(float));
  memcpy(t.data, c.numbers + strtol(at + 1, NULL, 10), t.size * sizeof(float));
  return t;
}

/* The same, where the case must have it. */
static Tensor required(CaseFile c, const char *name) {
  Tensor t = input(c, name);
  if (!t.data) die("expected this tensor in float32", name);
  return t;
}

static Tensor zeros(int axes, const long *shape) {
  Tensor t = {.axes = axes, .size = 1};
  for (int i = 0; i < axes; i++) t.size *= t.shape[i] = shape[i];
  t.data = allocate(t.size * sizeof(float));
  return t;
}

/* Writes tensors under the names out.<name>. */
static void write_outputs(const char *path, int count, const char **names, const Tensor *tensors) {
  char header[1024];
  int length = 0;
  long offset = 0;
  for (int i = 0; i < count; i++) {
    const Tensor *t = &tensors[i];
    length += sprintf(header + length, "%s\"out.%s\":{\"dtype\":\"F32\",\"shape\":[",
                      i ? "," : "{", names[i]);
    for (int axis = 0; axis < t->axes; axis++) {
      length += sprintf(header + length, "%s%ld", axis ? "," : "", t->shape[axis]);
    }
    long end = offset + t->size * (long)sizeof(float);
    length += sprintf(header + length, "],\"data_offsets\":[%ld,%ld]}", offset, end);
    offset = end;
  }
  length += sprintf(header + length, "}");
  uint64_t bytes = length;
  FILE *file = fopen(path, "wb");
  if (!file) die("cannot be written", path);
  fwrite(&bytes, 8, 1, file);
  fwrite(header, 1, length, file);
  for (int i = 0; i < count; i++) fwrite(tensors[i].data, sizeof(float), tensors[i].size, file);
  if (fclose(file) != 0) die("cannot be written", path);
}

#endif
