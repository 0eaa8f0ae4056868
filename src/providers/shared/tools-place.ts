/** Where a host whose root file system is not netrig's has netrig's tools. */
export const toolsPlace = '/.netrig';
