// Run a compiled net without Python: TVM's runtime, the library, the weights beside it.
//
//   run FOLDER INPUT OUTPUT [REPEATS]
//
// FOLDER has model.so, weights.safetensors and manifest.json. INPUT holds the input's numbers alone, in the
// manifest's dtype, row by row; their count says the batch. OUTPUT gets the first output's numbers. One line
// of JSON on stdout tells batch, shape, the middle of REPEATS times and the peak of memory.

#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/json.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace ffi = tvm::ffi;

constexpr size_t kAlignment = 64;  // bytes, as TVM allocates: compiled code loads whole cache lines
constexpr int kPooled = 2;         // the VM's allocator

struct Host {
  void AllocData(DLTensor* tensor) {
    size_t bytes = std::max<size_t>(ffi::GetDataSize(*tensor), 1);
    tensor->data = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

ffi::Tensor NewTensor(const std::vector<int64_t>& shape, DLDataType dtype) {
  return ffi::Tensor::FromNDAlloc(Host(), ffi::Shape(shape.begin(), shape.end()), dtype, DLDevice{kDLCPU, 0});
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("expected a readable file " + path + ", got none; try breakthrough compile");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

ffi::json::Object ParseObject(const std::string& text, const std::string& where) {
  ffi::String problem;
  ffi::json::Value value = ffi::json::Parse(ffi::String(text), &problem);
  auto object = value.as<ffi::json::Object>();
  if (!problem.empty() || !object) throw std::runtime_error("expected JSON in " + where + ", got " + std::string(problem));
  return *object;
}

template <typename T>
T Field(const ffi::json::Object& object, const char* name) {
  return object.at(ffi::String(name)).cast<T>();
}

std::vector<int64_t> Numbers(const ffi::json::Array& array) {
  std::vector<int64_t> numbers;
  for (const ffi::Any& one : array) numbers.push_back(one.as<int64_t>().value_or(-1));  // null: the batch
  return numbers;
}

DLDataType DtypeOf(const std::string& name) {
  static const std::map<std::string, DLDataType> kKnown = {
      {"F32", {kDLFloat, 32, 1}},     {"F16", {kDLFloat, 16, 1}}, {"I64", {kDLInt, 64, 1}}, {"I32", {kDLInt, 32, 1}},
      {"I16", {kDLInt, 16, 1}},       {"I8", {kDLInt, 8, 1}},     {"U8", {kDLUInt, 8, 1}},  {"U32", {kDLUInt, 32, 1}},
      {"F64", {kDLFloat, 64, 1}},     {"U16", {kDLUInt, 16, 1}},  {"BOOL", {kDLBool, 8, 1}},
      {"float32", {kDLFloat, 32, 1}}, {"int64", {kDLInt, 64, 1}}};
  auto found = kKnown.find(name);
  if (found == kKnown.end()) throw std::runtime_error("expected a dtype that this program knows, got " + name);
  return found->second;
}

// A safetensors file: eight bytes of length, a header in JSON, the numbers.
std::map<std::string, ffi::Tensor> ReadWeights(const std::string& path) {
  std::string raw = ReadFile(path);
  uint64_t length = 0;
  if (raw.size() >= 8) std::memcpy(&length, raw.data(), 8);
  if (raw.size() < 8 || length > raw.size() - 8) throw std::runtime_error("expected a whole " + path + ", got a part of one");
  std::map<std::string, ffi::Tensor> weights;
  for (const auto& [name, value] : ParseObject(raw.substr(8, length), path)) {
    std::string key = name.cast<ffi::String>();
    if (key == "__metadata__") continue;
    auto facts = value.cast<ffi::json::Object>();
    std::vector<int64_t> ends = Numbers(Field<ffi::json::Array>(facts, "data_offsets"));
    ffi::Tensor tensor = NewTensor(Numbers(Field<ffi::json::Array>(facts, "shape")), DtypeOf(Field<ffi::String>(facts, "dtype")));
    size_t size = ffi::GetDataSize(*tensor.GetDLTensorPtr());
    bool fits = ends.size() == 2 && ends[0] >= 0 && ends[1] - ends[0] == static_cast<int64_t>(size);
    if (!fits || 8 + length + ends[1] > raw.size()) throw std::runtime_error("expected a whole " + path + ", got a part of one");
    std::memcpy(tensor.data_ptr(), raw.data() + 8 + length + ends[0], size);
    weights.emplace(key, tensor);
  }
  return weights;
}

// Of this process alone: what rusage tells may be the parent's, from before it became this program.
long PeakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// The function for this batch: one of just that size, else one of any size.
ffi::Function Choose(const ffi::Module& vm, const ffi::json::Object& manifest, int64_t batch) {
  std::string sizes;
  for (const auto& [name, size] : Field<ffi::json::Object>(manifest, "functions")) {
    auto wanted = size.as<int64_t>();
    if (!wanted || *wanted == batch) return vm->GetFunction(name.cast<ffi::String>()).value();
    sizes += " " + std::to_string(*wanted);
  }
  throw std::runtime_error("expected a batch out of" + sizes + ", got " + std::to_string(batch));
}

int Run(const std::string& folder, const std::string& input, const std::string& output, int repeats) {
  ffi::json::Object manifest = ParseObject(ReadFile(folder + "/manifest.json"), "manifest.json");
  ffi::Module library = ffi::Module::LoadFromFile(folder + "/model.so");
  ffi::Module vm = library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  vm->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, kPooled);

  auto spec = Field<ffi::json::Array>(manifest, "inputs")[0].cast<ffi::json::Object>();
  std::vector<int64_t> shape = Numbers(Field<ffi::json::Array>(spec, "shape"));
  DLDataType dtype = DtypeOf(Field<ffi::String>(spec, "dtype"));
  std::string numbers = ReadFile(input);
  int64_t row = dtype.bits / 8;
  for (size_t i = 1; i < shape.size(); ++i) row *= shape[i];
  shape[0] = static_cast<int64_t>(numbers.size()) / row;
  if (shape[0] < 1 || shape[0] * row != static_cast<int64_t>(numbers.size()))
    throw std::runtime_error("expected a multiple of " + std::to_string(row) + " bytes in " + input + ", got " + std::to_string(numbers.size()));
  ffi::Tensor x = NewTensor(shape, dtype);
  std::memcpy(x.data_ptr(), numbers.data(), numbers.size());

  std::map<std::string, ffi::Tensor> weights = ReadWeights(folder + "/weights.safetensors");
  std::vector<ffi::AnyView> arguments = {x};
  for (const ffi::Any& name : Field<ffi::json::Array>(manifest, "weights")) arguments.push_back(weights.at(name.cast<ffi::String>()));

  ffi::Function function = Choose(vm, manifest, shape[0]);
  ffi::Any result;
  std::vector<double> times_ms;
  for (int i = 0; i < std::max(repeats, 1); ++i) {
    auto begin = std::chrono::steady_clock::now();
    function.CallPacked(ffi::PackedArgs(arguments.data(), static_cast<int32_t>(arguments.size())), &result);
    times_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  auto several = result.as<ffi::Array<ffi::Tensor>>();
  ffi::Tensor y = several ? (*several)[0] : result.cast<ffi::Tensor>();
  std::ofstream file(output, std::ios::binary);
  file.write(static_cast<const char*>(y.data_ptr()), static_cast<std::streamsize>(ffi::GetDataSize(*y.GetDLTensorPtr())));
  if (!file.flush()) throw std::runtime_error("expected room to write " + output + ", got an error");

  std::nth_element(times_ms.begin(), times_ms.begin() + times_ms.size() / 2, times_ms.end());
  std::printf("{\"batch\": %ld, \"shape\": [", static_cast<long>(shape[0]));
  for (int i = 0; i < y.ndim(); ++i) std::printf("%s%ld", i ? ", " : "", static_cast<long>(y.shape()[i]));
  std::printf("], \"median_ms\": %.6f, \"peak_bytes\": %ld}\n", times_ms[times_ms.size() / 2], PeakBytes());
  return 0;
}

int main(int count, char** words) {
  if (count != 4 && count != 5) {
    std::fprintf(stderr, "expected run FOLDER INPUT OUTPUT [REPEATS], got %d words\n", count - 1);
    return 2;
  }
  try {
    return Run(words[1], words[2], words[3], count == 5 ? std::atoi(words[4]) : 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
