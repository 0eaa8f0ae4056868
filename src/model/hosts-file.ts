/** The lines between which provisioning names the lab's hosts in /etc/hosts; who takes a lab back removes all between them. */
export const hostsFileMarks = {
  first: '# netrig: hosts of the lab',
  last: '# netrig: end of the hosts of the lab',
} as const;
