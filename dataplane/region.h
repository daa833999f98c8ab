// The shared region: one memfd that holds the snapshot, the connection table and the counters.
// Nothing inside it is a pointer: a structure names another by its Offset from the region's base,
// so any process can map it anywhere. Offset 0 is the region's own header and stands for "none".
#pragma once

#include <cstddef>
#include <cstdint>

namespace headgate::dataplane {

template <typename T>
struct Offset {
  uint64_t value = 0;
  constexpr explicit operator bool() const noexcept { return value != 0; }
  constexpr bool operator==(const Offset&) const noexcept = default;
};

// `count` elements of T, one after the other.
template <typename T>
struct OffsetArray {
  Offset<T> first;
  uint32_t count = 0;
  uint32_t reserved = 0;
  constexpr bool operator==(const OffsetArray&) const noexcept = default;
};

// Where the region is mapped in this process.
class RegionView {
 public:
  constexpr RegionView() noexcept = default;
  constexpr explicit RegionView(std::byte* base) noexcept : base_(base) {}

  template <typename T>
  [[nodiscard]] T* at(Offset<T> offset) const noexcept {
    return reinterpret_cast<T*>(base_ + offset.value);
  }
  // Element `i` of the array; the caller keeps i < array.count.
  template <typename T>
  [[nodiscard]] T& element(const OffsetArray<T>& array, uint32_t i) const noexcept {
    return at(array.first)[i];
  }
  [[nodiscard]] std::byte* base() const noexcept { return base_; }

 private:
  std::byte* base_ = nullptr;
};

}  // namespace headgate::dataplane
