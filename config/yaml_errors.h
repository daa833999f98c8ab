// What yaml-cpp objects to, in words that help: its messages, and its positions where those are far
// from the mistake.
#pragma once

#include <cstddef>

#include <yaml-cpp/exceptions.h>

#include "config/source_text.h"

namespace headgate::config {

// `last_line`: where the last value began that was read before (from 0).
[[nodiscard]] Complaint syntax_error(const SourceText& source, const YAML::Exception& error,
                                     size_t last_line);

}  // namespace headgate::config
