// Boost.Asio's TLS, compiled here once (BOOST_ASIO_SEPARATE_COMPILATION everywhere else).
#include <boost/asio/ssl/impl/src.hpp>
