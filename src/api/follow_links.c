/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of each type, so that follow is checked by types and not by present objects: the fields marked as @Link in
 * oVirt's model (ovirt-engine-api-model, src/main/java/types), and dimmer's own. Names are without '_', in lower case.
 */
#include <string.h>

#include "follow.h"

/* "link:type of its target"; just "link" if the names are equal; "link:" if the target has no links. Those of "/" are
 * the collections of the base. */
static const struct {
  const char *type, *links;
} types[] = {
  {"/",
    "affinitylabels:affinitylabel bookmarks: clusterlevels:clusterlevel clusters:cluster cpuprofiles:cpuprofile "
    "datacenters:datacenter diskprofiles:diskprofile disks:disk domains:domain events:event "
    "externalhostproviders:externalhostprovider externaltemplateimports:externaltemplateimport "
    "externalvmimports:externalvmimport groups:group hosts:host icons: imagetransfers:imagetransfer "
    "instancetypes:instancetype jobs:job katelloerrata:katelloerratum macpools:macpool networkfilters: "
    "networks:network openstackimageproviders:openstackimageprovider "
    "openstacknetworkproviders:openstacknetworkprovider openstackvolumeproviders:openstackvolumeprovider "
    "operatingsystems: permissions:permission roles:role schedulingpolicies:schedulingpolicy schedulingpolicyunits: "
    "storageconnections:storageconnection storagedomains:storagedomain tags:tag templates:template users:user "
    "vmpools:vmpool vms:vm vnicprofiles:vnicprofile"},
  {"affinitygroup", "cluster hostlabels:affinitylabel hosts:host vmlabels:affinitylabel vms:vm"},
  {"affinitylabel", "hosts:host vms:vm"},
  {"agent", "host"},
  {"api", "authenticateduser:user effectiveuser:user"},
  {"application", "vm"},
  {"authorizedkey", "user"},
  {"backup", "disks:disk host snapshot vm"},
  {"balance", "schedulingpolicy schedulingpolicyunit:"},
  {"bonding", "activeslave:hostnic"},
  {"cdrom", "instancetype template vm vms:vm"},
  {"checkpoint", "disks:disk vm"},
  {"cluster",
    "affinitygroups:affinitygroup cpuprofiles:cpuprofile datacenter enabledfeatures:clusterfeature "
    "externalnetworkproviders: glusterhooks:glusterhook glustervolumes:glustervolume macpool "
    "managementnetwork:network networkfilters: networks:network permissions:permission schedulingpolicy"},
  {"clusterfeature", "clusterlevel"},
  {"clusterlevel", "clusterfeatures:clusterfeature"},
  {"cpuprofile", "cluster permissions:permission qos"},
  {"datacenter",
    "clusters:cluster iscsibonds:iscsibond macpool networks:network permissions:permission qoss:qos quotas:quota "
    "storagedomains:storagedomain"},
  {"device", "instancetype template vm vms:vm"},
  {"disk",
    "diskprofile disksnapshots:disksnapshot instancetype openstackvolumetype permissions:permission quota snapshot "
    "statistics:statistic storagedomain storagedomains:storagedomain template vm vms:vm"},
  {"diskattachment", "disk template vm"},
  {"diskprofile", "permissions:permission qos storagedomain"},
  {"disksnapshot",
    "disk diskprofile disksnapshots:disksnapshot instancetype openstackvolumetype parent:disksnapshot "
    "permissions:permission quota snapshot statistics:statistic storagedomain storagedomains:storagedomain template "
    "vm vms:vm"},
  {"domain", "groups:group users:user"},
  {"event", "cluster datacenter host storagedomain template user vm"},
  {"eventsubscription", "user"},
  {"externalcomputeresource", "externalhostprovider"},
  {"externaldiscoveredhost", "externalhostprovider"},
  {"externalhost", "externalhostprovider"},
  {"externalhostgroup", "externalhostprovider"},
  {"externalhostprovider",
    "certificates: computeresources:externalcomputeresource discoveredhosts:externaldiscoveredhost "
    "hostgroups:externalhostgroup hosts:host"},
  {"externalnetworkproviderconfiguration", "externalnetworkprovider: host"},
  {"externaltemplateimport", "cluster cpuprofile host quota storagedomain template"},
  {"externalvmimport", "cluster cpuprofile driversiso:file host quota storagedomain vm"},
  {"file", "storagedomain"},
  {"filter", "schedulingpolicyunit:"},
  {"floppy", "instancetype template vm vms:vm"},
  {"glusterbrick", "glustervolume instancetype statistics:statistic template vm vms:vm"},
  {"glusterbrickadvanceddetails", "instancetype template vm vms:vm"},
  {"glusterhook", "cluster serverhooks:glusterserverhook"},
  {"glusterserverhook", "host"},
  {"glustervolume", "bricks:glusterbrick cluster statistics:statistic"},
  {"graphicsconsole", "instancetype template vm"},
  {"group", "domain permissions:permission roles:role tags:tag"},
  {"hook", "host"},
  {"host",
    "affinitylabels:affinitylabel agents:agent cluster cpuunits:hostcpuunit devices:hostdevice externalhostprovider "
    "externalnetworkproviderconfigurations:externalnetworkproviderconfiguration fenceagents:agent hooks:hook "
    "katelloerrata:katelloerratum networkattachments:networkattachment nics:hostnic numanodes:numanode "
    "permissions:permission statistics:statistic storage:hoststorage "
    "storageconnectionextensions:storageconnectionextension storages:hoststorage tags:tag "
    "unmanagednetworks:unmanagednetwork"},
  {"hostcpuunit", "vms:vm"},
  {"hostdevice", "host parentdevice:hostdevice vm"},
  {"hostnic", "host network networklabels:networklabel physicalfunction:hostnic qos statistics:statistic"},
  {"hoststorage", "host"},
  {"image", "storagedomain"},
  {"imagetransfer", "backup disk host image snapshot:disksnapshot"},
  {"instancetype",
    "cdroms:cdrom cluster cpuprofile diskattachments:diskattachment graphicsconsoles:graphicsconsole "
    "mediateddevices:vmmediateddevice nics:nic permissions:permission quota storagedomain tags:tag "
    "watchdogs:watchdog"},
  {"iscsibond", "datacenter networks:network storageconnections:storageconnection"},
  {"job", "owner:user steps:step vm"},
  {"katelloerratum", "host vm"},
  {"macpool", "permissions:permission"},
  {"memorydevice", "job vm"},
  {"network",
    "cluster datacenter externalprovider:openstacknetworkprovider externalproviderphysicalnetwork:network "
    "networklabels:networklabel permissions:permission qos vnicprofiles:vnicprofile"},
  {"networkattachment", "host hostnic network qos"},
  {"networkfilterparameter", "nic"},
  {"networklabel", "hostnic network"},
  {"nic",
    "instancetype network networkattachments:networkattachment networkfilterparameters:networkfilterparameter "
    "networklabels:networklabel reporteddevices:reporteddevice statistics:statistic template "
    "virtualfunctionallowedlabels:networklabel virtualfunctionallowednetworks:network vm vms:vm vnicprofile"},
  {"numanode", "host statistics:statistic"},
  {"openstackimage", "openstackimageprovider"},
  {"openstackimageprovider", "certificates: images:openstackimage"},
  {"openstacknetwork", "openstacknetworkprovider"},
  {"openstacknetworkprovider", "certificates: networks:openstacknetwork subnets:openstacksubnet"},
  {"openstacksubnet", "openstacknetwork"},
  {"openstackvolumeauthenticationkey", "openstackvolumeprovider"},
  {"openstackvolumeprovider",
    "authenticationkeys:openstackvolumeauthenticationkey certificates: datacenter volumetypes:openstackvolumetype"},
  {"openstackvolumetype", "openstackvolumeprovider"},
  {"permission", "cluster datacenter disk group host role storagedomain template user vm vmpool"},
  {"permit", "role"},
  {"qos", "datacenter"},
  {"quota", "permissions:permission quotaclusterlimits:quotaclusterlimit quotastoragelimits:quotastoragelimit"},
  {"quotaclusterlimit", "cluster quota"},
  {"quotastoragelimit", "quota storagedomain"},
  {"reporteddevice", "vm"},
  {"role", "permits:permit user"},
  {"schedulingpolicy", "balances:balance filters:filter weight"},
  {"session", "user vm"},
  {"snapshot",
    "affinitylabels:affinitylabel applications:application cdroms:cdrom cluster cpuprofile "
    "diskattachments:diskattachment disks:disk dynamiccpu: externalhostprovider floppies:floppy "
    "graphicsconsoles:graphicsconsole host hostdevices:hostdevice instancetype katelloerrata:katelloerratum "
    "mediateddevices:vmmediateddevice nics:nic numanodes:numanode originaltemplate:template permissions:permission "
    "quota reporteddevices:reporteddevice sessions:session snapshots:snapshot statistics:statistic storagedomain "
    "tags:tag template vm vmpool watchdogs:watchdog"},
  {"sshpublickey", "user"},
  {"statistic", "brick:glusterbrick disk glustervolume host hostnic hostnumanode:numanode nic step vm"},
  {"step", "executionhost:host job parentstep:step statistics:statistic memorydevice"},
  {"storageconnection", "glustervolume host"},
  {"storageconnectionextension", "host"},
  {"storagedomain",
    "datacenter datacenters:datacenter diskprofiles:diskprofile disks:disk disksnapshots:disksnapshot files:file "
    "host images:image permissions:permission storageconnections:storageconnection templates:template vms:vm"},
  {"tag", "group host parent:tag template user vm"},
  {"template",
    "cdroms:cdrom cluster cpuprofile diskattachments:diskattachment graphicsconsoles:graphicsconsole "
    "mediateddevices:vmmediateddevice nics:nic permissions:permission quota storagedomain tags:tag "
    "watchdogs:watchdog"},
  {"unmanagednetwork", "host hostnic"},
  {"user",
    "domain eventsubscriptions:eventsubscription groups:group options:useroption permissions:permission roles:role "
    "sshpublickeys:sshpublickey tags:tag"},
  {"useroption", "user"},
  {"virtualnumanode", "host statistics:statistic vm"},
  {"vm",
    "affinitylabels:affinitylabel applications:application backups:backup cdroms:cdrom checkpoints:checkpoint "
    "cluster cpuprofile diskattachments:diskattachment dynamiccpu: externalhostprovider floppies:floppy "
    "graphicsconsoles:graphicsconsole host hostdevices:hostdevice instancetype katelloerrata:katelloerratum "
    "mediateddevices:vmmediateddevice memorydevices:memorydevice nics:nic numanodes:virtualnumanode "
    "originaltemplate:template permissions:permission quota reporteddevices:reporteddevice sessions:session "
    "snapshots:snapshot statistics:statistic storagedomain tags:tag template vmpool watchdogs:watchdog"},
  {"vmmediateddevice", "instancetype template vm vms:vm"},
  {"vmpool", "cluster instancetype permissions:permission template vm"},
  {"vnicprofile", "failover:vnicprofile network networkfilter: permissions:permission qos"},
  {"vnicprofilemapping", "targetvnicprofile:vnicprofile"},
  {"watchdog", "instancetype template vm vms:vm"},
  {"weight", "schedulingpolicy schedulingpolicyunit:"},
};

char *follow_target(const char *type, const char *link) {
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    if (!g_str_equal(types[i].type, type))
      continue;
    g_auto(GStrv) links = g_strsplit(types[i].links, " ", -1);
    for (char **each = links; *each != NULL; each++) {
      char *colon = strchr(*each, ':');
      if (colon != NULL)
        *colon = '\0';
      if (g_str_equal(*each, link))
        return g_strdup(colon != NULL ? colon + 1 : *each);
    }
  }
  return NULL;
}
