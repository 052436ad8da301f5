namespace pvnet { namespace { [[maybe_unused]] int placeholder; } }
