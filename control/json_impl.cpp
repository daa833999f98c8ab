// Boost.JSON, compiled here once: Debian's Boost 1.81 is used as headers only.
#include <boost/json/src.hpp>
